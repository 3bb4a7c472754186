"""The published separator, Mixture2Music: diffusion of piano rolls within those of a mixture; notes stay untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from ondes.diffusion.mixture_mask import within_steps
from ondes.diffusion.noise import position_noise, position_seed
from ondes.diffusion.overlap import overlapped
from ondes.diffusion.sampling import kept
from ondes.errors import UserError
from ondes.models.trans_unet import RollDecoder, TransUNet
from ondes.pipelines.dmc import TRAIN_STEPS
from ondes.pipelines.roll_claims import TIE, chosen_parts, layer_of
from ondes.pipelines.roll_samplers import SCHEDULES, make_roll_scheduler
from ondes.pipelines.separation import Progress, Separation, shared_progress
from ondes.pipelines.separation_notes import MixtureNotes, notes_to_separate, parted
from ondes.pipelines.separation_parts import asked, warn_if_separate, with_drums
from ondes.pipelines.separation_result import without_silent
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.ensembles import PartSpec
from ondes.representations.mixture_rolls import (
    BAR_STEPS,
    FAMILIES,
    ROWS,
    WINDOW_STEPS,
    RollNotes,
    RollPart,
    named_layers,
    rows_of,
)
from ondes.representations.note_sequence import DRUMS
from ondes.score import read_score

if TYPE_CHECKING:
    from symusic.core import ScoreTick

HOP_STEPS = WINDOW_STEPS // 2
"""Windows of long pieces share two bars with the next."""
WINDOWS_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class _Cast:
    """Who plays, in a score.

    Attributes:
        parts: All of them.
        layer: Of the network's rolls, of each part; -1 for drums that the network knows nothing of.
        allowed: Which parts each note may go to (notes, parts).
    """

    parts: tuple[PartSpec, ...]
    layer: Int64[np.ndarray, " parts"]
    allowed: Bool[np.ndarray, "notes parts"]


class Mixture2MusicPipeline(StoredPipeline):
    """Gives each note of a score to the part whose roll claims most of it.

    Args:
        network: Predicts the noise in the rolls of four bars.
        scheduler: DDIM or DDPM of diffusers.
        decoder: Makes rolls of what the sampler gives; without one a cell sounds from one half on, which is what the
            published decoder comes to.
        default_steps: Steps where the caller names none.
    """

    _optional_components: ClassVar[list[str]] = ["decoder"]  # diffusers adds lists to it

    def __init__(
        self,
        network: TransUNet,
        scheduler: Any,
        decoder: RollDecoder | None = None,
        default_steps: int = TRAIN_STEPS,
    ) -> None:
        super().__init__()
        self.register_modules(network=network, scheduler=scheduler, decoder=decoder)
        self.register_to_config(default_steps=default_steps)
        for model in self._networks():
            model.eval()

    def _networks(self) -> list[TransUNet | RollDecoder]:
        return [self.network] if self.decoder is None else [self.network, self.decoder]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **settings: Any
    ) -> Mixture2MusicPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A folder that `save_pretrained` or `ondes import` wrote, the folder `model`
                of a training run, or the id of a model on the Hub, which alone reaches the network.
            settings: As of diffusers' `from_pretrained`.

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return cls._opened(
            pretrained_model_name_or_path,
            kind="separator",
            network=TransUNet,
            around=lambda network: cls(network, make_roll_scheduler("ddim", str(network.config["schedule"]))),
            settings=settings,
        )

    @property
    def layers(self) -> tuple[RollPart, ...]:
        """What the layers of the rolls are."""
        pairs = self.network.config["layer_names"]
        return FAMILIES if pairs is None else named_layers(pairs)

    def has(self, parts: Sequence[PartSpec]) -> bool:
        """Whether the network has a layer of its own for each of these parts, drums aside."""
        layers = self.layers
        found = [layer_of(part, layers) for part in parts if part.instrument != DRUMS]
        return -1 not in found and len(set(found)) == len(found)

    def defaults(self) -> dict[str, Any]:
        """Settings of the sampler where a caller names none."""
        return {"steps": int(self.config["default_steps"])}

    @torch.no_grad()
    def __call__(
        self,
        score: Any,
        *,
        into: str | Sequence[PartSpec] | None = None,
        n: int = 1,
        method: str = "auto",
        steps: int | None = None,
        sampler: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **other: Any,
    ) -> Any:
        """The parts of a score.

        Args:
            score: Anything `ondes.read_score` takes, or a list of such. Several tracks are merged; notes of the drum
                channel stay drums, and no others become drums.
            into: Who plays: only parts that the network has, each once. All that get notes where missing.
            n: How many alternatives.
            method: "diffusion", the only one, which "auto" takes.
            steps: Of the sampler; those that divide 1000 are spaced evenly.
            sampler: "ddim" or "ddpm"; the model's own where None.
            seed: Of the first alternative; the next has the next.
            progress: Called with notes done and in total, after every step; what it raises stops the work.
            other: Wishes of `SeparationPipeline` that this system cannot fulfil; refused unless false.

        Returns:
            A `Separation`, or a list of such for a list. Confidence is a part's share of the claims on a note, which
            nobody has calibrated.

        Raises:
            UserError: If the score has no notes, a wish makes no sense, or the network makes NaN.
        """
        for name, value in other.items():
            if value is not None and value is not False:
                raise UserError(
                    f"Mixture2Music has no {name!r}: it takes into, n, steps, sampler and seed; leave it out, or "
                    "choose another model"
                )
        steps = int(self.config["default_steps"]) if steps is None else steps
        if n < 1 or not 1 <= steps <= TRAIN_STEPS:
            raise UserError(
                f"{n} alternatives in {steps} steps: 1 or more are allowed, in 1 to {TRAIN_STEPS} steps"
            )
        if method not in ("auto", "diffusion"):
            raise UserError(f"Mixture2Music has no method {method!r}; 'diffusion' is the only one")
        many = [read_score(one) for one in (score if isinstance(score, list) else [score])]
        made = []
        for index, one in enumerate(many):
            share = shared_progress(progress, index, many)
            made.append(self._separated(one, asked(into), range(seed, seed + n), steps, sampler, share))
        return made if isinstance(score, list) else made[0]

    def _separated(
        self,
        score: ScoreTick,
        into: tuple[PartSpec, ...] | None,
        seeds: range,
        steps: int,
        sampler: str | None,
        progress: Progress | None,
    ) -> Separation:
        """One score in its parts."""
        notes = notes_to_separate(score)
        warn_if_separate(score)
        cast = self._cast(notes, into)
        cells = self._cells(notes, score.ticks_per_quarter)
        labels, confidences = [], []
        for index, seed in enumerate(seeds):

            def on_step(done: int, index: int = index) -> None:
                if progress is not None:
                    progress(len(notes) * (index * steps + done) / (steps * len(seeds)), len(notes))

            rolls = self.sample(cells.rolls(1)[0], steps=steps, seed=seed, sampler=sampler, on_step=on_step)
            claims = self._claims(cells, rolls, cast)
            label, share = chosen_parts(claims, cast.allowed, cells)
            labels.append(label)
            confidences.append(share)
        return _result(
            score, notes, cast, np.stack(labels), np.stack(confidences), keep_silent=into is not None
        )

    def _cast(self, notes: MixtureNotes, into: tuple[PartSpec, ...] | None) -> _Cast:
        """Who plays.

        Raises:
            UserError: If a part that was asked for is none of the network's, or two are the same.
        """
        layers = self.layers
        if into is None:
            drums = bool(notes.is_drum.any())
            numbers = [max(layer.part_number or 0, 0) for layer in layers]
            into = tuple(
                PartSpec(layer.name, layer.program, number)
                for layer, number in zip(layers, numbers, strict=True)
                if layer.program != DRUMS or drums
            )
        parts = with_drums(into, notes)
        found = [layer_of(part, layers) for part in parts]
        for part, place in zip(parts, found, strict=True):
            if place < 0 and part.instrument != DRUMS:
                raise UserError(
                    f"this model knows no {part.name}: its parts are {', '.join(one.name for one in layers)}; name "
                    "some of these, or leave into out"
                )
            if place >= 0 and found.count(place) > 1:
                raise UserError(
                    f"this model has one part for {layers[place].name}, and {found.count(place)} were asked for"
                )
        plays_drums = np.array([part.instrument == DRUMS for part in parts])
        return _Cast(parts, np.array(found, np.int64), notes.is_drum[:, None] == plays_drums)

    def _cells(self, notes: MixtureNotes, ticks_per_quarter: int) -> RollNotes:
        """The notes on the grid; drums have a row where the network has a layer for them."""
        row = rows_of(notes.pitch, notes.is_drum)
        if all(layer.program != DRUMS for layer in self.layers):
            row = np.where(notes.is_drum, -1, row)
        return RollNotes.of(
            notes.time / ticks_per_quarter, notes.duration / ticks_per_quarter, row, np.zeros_like(row)
        )

    @torch.no_grad()
    def sample(
        self,
        mixture: Bool[np.ndarray, "steps rows"],
        *,
        steps: int,
        seed: int = 0,
        sampler: str | None = None,
        on_step: Any = lambda _: None,
    ) -> Float[np.ndarray, "parts steps rows"]:
        """How much each part claims of each cell, 0 to 1, nothing where the mixture is silent.

        The published rolls are the cells that are claimed by one half and more.

        Args:
            mixture: Which cells sound; any number of sixteenths.
            steps: Of the sampler.
            seed: Of the noise, which at a place is the same whatever follows.
            sampler: As of the call.
            on_step: Told how many steps are done.

        Raises:
            UserError: If the network makes NaN or infinity.
        """
        network: TransUNet = self.network
        length = max(-(-len(mixture) // BAR_STEPS) * BAR_STEPS, WINDOW_STEPS)
        mask = torch.zeros(1, 1, length, ROWS, device=network.device)
        mask[0, 0, : len(mixture)] = torch.from_numpy(mixture.astype(np.float32))
        parts = int(network.config["parts"])
        noise = position_noise((parts, ROWS), start_frame=0, frames=length, seed=seed, item="rolls")

        def windows(noisy: Tensor, level: Tensor) -> Tensor:
            return network(noisy, (level * TRAIN_STEPS).round().long())

        begin = noise.transpose(1, 2)[None].to(network.device, network.dtype)

        def walked() -> Tensor:
            walk = within_steps(
                overlapped(windows, window=WINDOW_STEPS, hop=HOP_STEPS, together=WINDOWS_TOGETHER),
                begin,
                mask,
                scheduler=self._scheduler(sampler),
                steps=steps,
                generators=[torch.Generator().manual_seed(position_seed(seed, "steps"))],
            )
            made = mask
            for done, noisy in enumerate(walk, 1):
                made = noisy
                on_step(done)
            return made

        made = kept(begin, walked)
        if not torch.isfinite(made).all():
            raise UserError("the model makes NaN or infinity; train it longer, or give other steps")
        return (self._decoded(made) * mask)[0, :, : len(mixture)].cpu().numpy()

    def _scheduler(self, sampler: str | None) -> Any:
        """The model's own, or another sampler of the same noise schedule."""
        if sampler is None:
            return type(self.scheduler).from_config(self.scheduler.config)
        shape = self.scheduler.config["beta_schedule"]
        return make_roll_scheduler(sampler, next(name for name, word in SCHEDULES.items() if word == shape))

    def _decoded(self, made: Tensor) -> Tensor:
        """Claims of cells; the sampler's own numbers decide where they are the same."""
        if self.decoder is None:
            return made.clamp(0, 1) + TIE * made.tanh()
        decoder = overlapped(
            lambda nearly, _: self.decoder(nearly).sigmoid(),
            window=WINDOW_STEPS,
            hop=HOP_STEPS,
            together=WINDOWS_TOGETHER,
        )
        return decoder(made, made.new_zeros(1)) + TIE * made.tanh()

    def _claims(
        self, cells: RollNotes, rolls: Float[np.ndarray, "layers steps rows"], cast: _Cast
    ) -> Float64[np.ndarray, "notes parts"]:
        """How much of each note each part claims; 0 for parts that may not have it."""
        claims = cells.means(rolls)[:, np.maximum(cast.layer, 0)]
        return np.where(cast.allowed, claims, -np.inf)


def _result(
    score: ScoreTick,
    notes: MixtureNotes,
    cast: _Cast,
    labels: Int64[np.ndarray, "alternatives notes"],
    confidences: Float64[np.ndarray, "alternatives notes"],
    *,
    keep_silent: bool,
) -> Separation:
    """The scores, without parts that nobody asked for and that got nothing."""
    parts, doubled = cast.parts, np.zeros((*labels.shape, len(cast.parts)), np.bool_)
    if not keep_silent:
        parts, labels, doubled = without_silent(parts, labels, doubled)
    scores = [
        parted(score, notes, [np.flatnonzero(row == part) for part in range(len(parts))], parts)
        for row in labels
    ]
    return Separation(scores, labels, confidences, parts, notes, doubled)
