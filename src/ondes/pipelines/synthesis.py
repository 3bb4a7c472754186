"""Synthesis: any score becomes 44.1 kHz stereo audio."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.models.bigvgan import BigVGAN
from ondes.models.griffin_lim import GriffinLim
from ondes.models.note_denoiser import NoteDenoiser
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio_inputs import Sound
from ondes.pipelines.audio_model import Regions
from ondes.pipelines.audio_windows import Place
from ondes.pipelines.limiter import Limiter
from ondes.pipelines.loading import load_with_vocoder
from ondes.pipelines.playback import heard_frames
from ondes.pipelines.score_inpainting import NoteWindowMaker, played_anew
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.note_frames import DRUM_INSTRUMENT
from ondes.representations.segments import Segment, segments
from ondes.score import Notes, read_score, to_notes

log = logging.getLogger(__name__)

Progress = Callable[[float, float], None]
"""Called with the seconds of audio made and to be made."""

TAIL_S = 2.0
"""Audio goes on this long after the last event, for notes to ring out."""


class SynthesisPipeline(StoredPipeline):
    """Plays scores: notes to log-mel by diffusion, segment after segment, and log-mel to audio by a vocoder.

    The same seed gives the same music in a stream, as a whole, and in any longer piece that begins alike.

    Args:
        denoiser: The network.
        vocoder: Log-mel to audio: a `Vocoder`, `GriffinLim` or `BigVGAN`.
        scheduler: A flow-matching scheduler of diffusers.
        segment_frames: Most mel frames of a window; windows grow to it: see `ondes.representations.segments`.
        context_frames: Frames of such a window that the segment before has made.
        first_frames: Frames of the first window, short so that a stream begins early; best a multiple of 64 and 28
            more, which the vocoder keeps back.
        default_steps: Solver steps where the caller names none.
        default_temperature: The same of the temperature.
        gain_db: Brings the loudness of this model to that of its training data.
        instrument_gains_db: The same for the instruments among each other: of every General MIDI program and, last, of
            the drum kit, 129 numbers by which the network is asked for louder notes; none if missing. See
            `benchmarks/synth_instrument_gains.py`.

    Raises:
        UserError: If there are not 129 gains, or one is no number.
    """

    def __init__(
        self,
        denoiser: NoteDenoiser,
        vocoder: Vocoder | GriffinLim | BigVGAN,
        scheduler: Any,
        segment_frames: int = 512,
        context_frames: int = 64,
        first_frames: int = 220,
        default_steps: int = 8,
        default_temperature: float = 1.0,
        gain_db: float = 0.0,
        instrument_gains_db: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if instrument_gains_db is not None and not (
            len(instrument_gains_db) == DRUM_INSTRUMENT + 1 and np.isfinite(instrument_gains_db).all()
        ):
            raise UserError(
                f"instrument_gains_db has {len(instrument_gains_db)} entries or some that are no numbers; give "
                f"{DRUM_INSTRUMENT + 1} numbers in dB, of the programs 0 to 127 and of the drum kit"
            )
        self.register_modules(denoiser=denoiser, vocoder=vocoder, scheduler=scheduler)
        self.register_to_config(
            segment_frames=segment_frames,
            context_frames=context_frames,
            first_frames=first_frames,
            default_steps=default_steps,
            default_temperature=default_temperature,
            gain_db=gain_db,
            instrument_gains_db=instrument_gains_db,
        )
        denoiser.eval()
        vocoder.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **settings: Any) -> SynthesisPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A bundled name ("synth-small"), a folder that `save_pretrained` wrote, or
                the id of a model on the Hub, which alone reaches the network.
            settings: As of diffusers' `from_pretrained`; `vocoder` may also be a bundled name, a folder, a Hub id or
                "griffin-lim".

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return load_with_vocoder(
            super().from_pretrained,
            pretrained_model_name_or_path,
            kind="synthesiser",
            network="denoiser",
            settings=settings,
        )

    @property
    def default_steps(self) -> int:
        """Solver steps where the caller names none."""
        return int(self.config["default_steps"])

    def steps_for(self, sampler: str | None) -> int:  # noqa: ARG002
        """Solver steps where the caller names a sampler and no number: the same for all."""
        return self.default_steps

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages beside those of all models that take part in playing: none."""
        return ()

    def __call__(self, score: Any, *, progress: Progress | None = None, **choices: Any) -> Audio:
        """Play a score.

        Args:
            score: Anything `ondes.read_score` takes, or `ondes.Notes`.
            progress: Called as audio is made.
            choices: As of `stream`: `seed`, `steps`, `sampler`, `guidance_scale`, `temperature`.

        Returns:
            44.1 kHz stereo, as long as the score and two seconds more.
        """
        return Audio.concatenate(list(self.stream(score, progress=progress, **choices)))

    def stream(
        self,
        score: Any,
        *,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Audio]:
        """Play a score and give out blocks of audio as they are made.

        Args:
            score: Anything `ondes.read_score` takes, or `ondes.Notes`.
            seed: Of the noise the music is made from.
            steps: Solver steps, 4 to 32: more are slower and closer to what the model means.
            sampler: "euler", "heun", "dpm++" or "unipc"; the model's own scheduler if missing.
            guidance_scale: Above 1, the notes are obeyed more than in the training data, at twice the time.
            temperature: Scale of the noise the music is made from (Popov et al. 2021, arXiv 2105.06337): at 1 the model
                plays with all the variety it believes in, towards 0 with less of it and fewer accidents.
            progress: Called as audio is made.

        Raises:
            UserError: If the score or a setting cannot be used.
        """
        notes = score if isinstance(score, Notes) else to_notes(read_score(score))
        sample = self._sampler(seed, steps, sampler, guidance_scale, temperature)
        for blocks in self._stream_parts([notes], sample, progress):
            yield blocks[0]

    def stems(self, score: Any, *, progress: Progress | None = None, **choices: Any) -> dict[str, Audio]:
        """Every part of a score alone; the sum of them is the mix, with one limiter for all.

        Args:
            score: Anything `ondes.read_score` takes, or `ondes.Notes`.
            progress: Called as audio is made.
            choices: As of `stream`.

        Returns:
            Audio by the name of the part, in their order.
        """
        blocks: dict[str, list[Audio]] = {}
        for piece in self.stream_stems(score, progress=progress, **choices):
            for name, block in piece.items():
                blocks.setdefault(name, []).append(block)
        return {name: Audio.concatenate(found) for name, found in blocks.items()}

    def stream_stems(
        self,
        score: Any,
        *,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[dict[str, Audio]]:
        """Blocks of every part, all of one length, by the name of the part; see `stems` and `stream`."""
        notes = score if isinstance(score, Notes) else to_notes(read_score(score))
        sample = self._sampler(seed, steps, sampler, guidance_scale, temperature)
        names = part_names(notes)
        alone = [notes.select(notes.part == index) for index in range(len(names))]
        for blocks in self._stream_parts(alone, sample, progress):
            yield dict(zip(names, blocks, strict=True))

    def log_mel(
        self,
        score: Any,
        *,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
    ) -> np.ndarray:
        """The log-mel spectrogram of which `__call__` makes audio: float32 (2, bands, frames)."""
        notes = score if isinstance(score, Notes) else to_notes(read_score(score))
        sample = self._sampler(seed, steps, sampler, guidance_scale, temperature)
        frames = self._frames(notes)
        return torch.cat(list(self._stream_mel(notes, frames, sample)), -1)[..., :frames].numpy()

    def inpaint(self, audio: Sound, regions: Regions, score: Any, **choices: Any) -> Audio:
        """A sound of which some regions are played anew from a score; see `stream_inpaint`."""
        return Audio.concatenate(self.stream_inpaint(audio, regions, score=score, **choices))

    def stream_inpaint(
        self,
        audio: Sound,
        regions: Regions,
        *,
        score: Any,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Audio]:
        """A sound of which some regions are played anew from a score, in blocks; all else stays bit for bit.

        The notes say what sounds in a region, the sound around it how: it is context of the same windows. Whatever was
        in a region before plays no part. Sound and score begin at the same moment.

        Args:
            audio: A file, `Audio`, or a pair of array and rate, mono or stereo at any rate.
            regions: A line such as "12.5-15,1:03-1:07.25", pairs of start and stop in seconds, or `Region`s in samples.
            score: As of `stream`.
            seed: As of `stream`.
            steps: As of `stream`.
            sampler: As of `stream`.
            guidance_scale: As of `stream`.
            temperature: As of `stream`.
            progress: Called with the seconds made and to be made; it may raise to stop.

        Raises:
            UserError: If the sound, a region, the score or a setting cannot be used.
        """
        maker = self._maker(seed, steps, sampler, guidance_scale, temperature)
        return played_anew(self, audio, regions, score, maker, progress=progress)

    def join_times_s(self, duration_s: float) -> np.ndarray:
        """Where segments join in audio of a length, in seconds."""
        spec = self.denoiser.spec
        plan = self._segments(round(duration_s * spec.frames_per_second))
        return np.array([segment.start + segment.known for segment in plan[1:]]) / spec.frames_per_second

    def _frames(self, notes: Notes) -> int:
        spec = self.denoiser.spec
        return max(1, int(np.ceil((notes.duration_s + TAIL_S) * spec.frames_per_second)))

    def _segments(self, frames: int) -> list[Segment]:
        window, context, first = (
            int(self.config[name]) for name in ("segment_frames", "context_frames", "first_frames")
        )
        multiple = int(self.denoiser.config["patch_frames"])
        return segments(
            frames, window=window, context=context, first=first, multiple=multiple, heard=heard_frames
        )

    def _sampler(
        self,
        seed: int,
        steps: int | None,
        sampler: str | None,
        guidance_scale: float | None,
        temperature: float | None,
    ) -> Callable[[Notes, Segment, Tensor], Tensor]:
        """A function from notes, a segment and its known frames to the features of the segment."""
        maker = self._maker(seed, steps, sampler, guidance_scale, temperature)

        def sample(notes: Notes, segment: Segment, context: Tensor) -> Tensor:
            values = torch.nn.functional.pad(context, (0, segment.frames - segment.known))
            known = torch.arange(segment.frames, device=values.device) < segment.known
            return maker.of(notes).make(Place(segment.start, segment.frames), values, known)

        return sample

    def _maker(
        self,
        seed: int,
        steps: int | None,
        sampler: str | None,
        guidance_scale: float | None,
        temperature: float | None,
    ) -> NoteWindowMaker:
        """What makes windows as was asked for."""
        return NoteWindowMaker(
            self.denoiser,
            self.scheduler,
            steps=self.default_steps if steps is None else steps,
            sampler=sampler,
            guidance_scale=1.0 if guidance_scale is None else float(guidance_scale),
            temperature=float(self.config["default_temperature"] if temperature is None else temperature),
            seed=seed,
            gains_db=self.config.get("instrument_gains_db"),
        )

    def _stream_mel(
        self, notes: Notes, frames: int, sample: Callable[[Notes, Segment, Tensor], Tensor]
    ) -> Iterator[Tensor]:
        """New frames (2, bands, frames) of each segment; the last may reach beyond the end of the piece."""
        context = torch.zeros(1, 2, self.denoiser.spec.bands, 0, device=self.denoiser.device)
        size = int(self.config["context_frames"])
        for segment in self._segments(frames):
            features = sample(notes, segment, context[..., context.shape[-1] - segment.known :])
            context = features[..., -size:]
            yield self.denoiser.restore(features[0, ..., segment.known :]).cpu()

    def _stream_parts(
        self,
        parts: list[Notes],
        sample: Callable[[Notes, Segment, Tensor], Tensor],
        progress: Progress | None,
    ) -> Iterator[list[Audio]]:
        """Blocks of several scores of one length, played side by side under one limiter for their sum."""
        if not parts or not any(len(part) for part in parts):
            log.warning("the score has no notes: the result is silence")
            silence = [self._silence(part) for part in parts]
            yield silence
            if progress is not None and silence:
                progress(silence[0].duration_s, silence[0].duration_s)
            return
        spec = self.denoiser.spec
        frames = self._frames(parts[0])
        limiter = Limiter()
        gain = 10 ** (float(self.config["gain_db"]) / 20)
        made = 0
        waiting = torch.zeros(len(parts), 2, 0)
        voices = [self._voice(part, frames, sample) for part in parts]
        for pieces in zip(*voices, strict=True):
            blocks = gain * torch.stack([block for block, _ in pieces])
            last = pieces[0][1]
            waiting = torch.cat([waiting, blocks], -1)
            gains = limiter.push(blocks.sum(0), last=last)
            ready, waiting = waiting[..., : len(gains)] * gains, waiting[..., len(gains) :]
            made += len(gains)
            if len(gains):
                yield [Audio(block.numpy(), spec.sample_rate_hz) for block in ready]
            if progress is not None:
                progress(made / spec.sample_rate_hz, frames / spec.frames_per_second)

    def _voice(
        self, notes: Notes, frames: int, sample: Callable[[Notes, Segment, Tensor], Tensor]
    ) -> Iterator[tuple[Tensor, bool]]:
        """Blocks (2, samples) of one score before the limiter, and whether each is the last."""
        stream = self.vocoder.stream()
        done = 0
        for log_mel in self._stream_mel(notes, frames, sample):
            kept = log_mel[..., : frames - done]
            done += kept.shape[-1]
            last = done >= frames
            yield stream.push(kept.to(self.vocoder.device), last=last).cpu().float(), last

    def _silence(self, notes: Notes) -> Audio:
        spec = self.denoiser.spec
        return Audio(np.zeros((2, self._frames(notes) * spec.hop_samples), np.float32), spec.sample_rate_hz)


def part_names(notes: Notes) -> list[str]:
    """Names of the parts, made unique by numbers."""
    seen: dict[str, int] = {}
    names = []
    for part in notes.parts:
        seen[part.name] = seen.get(part.name, 0) + 1
        names.append(part.name if seen[part.name] == 1 else f"{part.name} ({seen[part.name]})")
    return names
