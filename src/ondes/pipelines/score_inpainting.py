"""Regions of a sound played anew from a score: notes say what sounds, the sound around says how."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ondes.audio import Audio
from ondes.diffusion.guidance import Denoiser, guide, hold
from ondes.models.note_denoiser import NoteDenoiser
from ondes.pipelines.audio_canvas import Canvas
from ondes.pipelines.audio_editing import Sizes, fill
from ondes.pipelines.audio_inputs import Sound, open_sound
from ondes.pipelines.audio_model import Regions
from ondes.pipelines.audio_windows import Meter, Place, Progress, WindowMaker
from ondes.representations.note_frames import to_note_frames
from ondes.representations.regions import to_regions
from ondes.score import Notes, read_score, to_notes

if TYPE_CHECKING:
    from ondes.pipelines.synthesis import SynthesisPipeline

log = logging.getLogger(__name__)


class NoteWindowMaker(WindowMaker):
    """Makes features of windows by the synthesiser's network, from the notes that sound in them.

    Args:
        network: The network.
        scheduler: Of the model, where no sampler is named.
        gains_db: More gain of each General MIDI program and, last, of the drum kit; none if missing.
        choices: `steps`, `sampler`, `guidance_scale`, by which notes are obeyed, `temperature` and `seed`, as of
            `WindowMaker`.

    Attributes:
        notes: Of the whole timeline.
    """

    network: NoteDenoiser
    notes: Notes

    def __init__(
        self,
        network: NoteDenoiser,
        scheduler: Any,
        *,
        gains_db: Sequence[float] | None = None,
        **choices: Any,
    ) -> None:
        super().__init__(network, scheduler, style=(), **choices)
        self.gains_db = None if gains_db is None else torch.tensor(gains_db)

    def of(self, notes: Notes) -> NoteWindowMaker:
        """The same for notes."""
        other = copy.copy(self)
        other.notes = notes
        return other

    def _denoiser(self, place: Place, values: Tensor, known: Tensor) -> Denoiser:
        model = self.network
        window = to_note_frames(self.notes, start_frame=place.start_frame, frames=place.frames)
        if self.gains_db is not None:
            window = window.louder(self.gains_db)
        told = model.condition(window.to(model.device))
        untold = model.drop(told, torch.ones(1, dtype=torch.bool, device=model.device))
        given = known[None]

        def with_notes(noisy: Tensor, level: Tensor) -> Tensor:
            return model(noisy, level, told, given)

        def without(noisy: Tensor, level: Tensor) -> Tensor:
            return model(noisy, level, untold, given)

        return hold(guide(with_notes, without, scale=self.scale), values, known[None, None, None])


def played_anew(
    pipeline: SynthesisPipeline,
    sound: Sound,
    regions: Regions,
    score: Any,
    maker: NoteWindowMaker,
    *,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `SynthesisPipeline.stream_inpaint`."""
    notes = score if isinstance(score, Notes) else to_notes(read_score(score))
    source = open_sound(sound)
    rate_hz = source.sample_rate_hz
    found = to_regions(regions, sample_rate_hz=rate_hz, length_samples=source.samples)
    for region in found:
        start_s, stop_s = region.start / rate_hz, region.stop / rate_hz
        if not bool(((notes.onset_s < stop_s) & (notes.release_s > start_s)).any()):
            log.warning(
                "the score has no note from %.2f s to %.2f s: nothing is played there", start_s, stop_s
            )
    window = int(pipeline.config["segment_frames"])
    sizes = Sizes(window, window // 4, int(pipeline.denoiser.config["patch_frames"]))
    canvas = Canvas(source, offset=0, length=source.samples, regions=found)
    total_s = sum(region.samples for region in canvas.regions) / rate_hz

    def blocks() -> Iterator[Audio]:
        for block in fill(canvas, maker.of(notes), pipeline.vocoder, sizes, Meter(progress, total_s)):
            yield Audio(block, rate_hz)

    return blocks()
