"""The published composer, Diffusion-Music-Composer: piano triples from noise, 128 at a time."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from jaxtyping import Float64
from torch import Tensor

from ondes.diffusion.noise import position_seed
from ondes.diffusion.sampling import kept
from ondes.diffusion.timesteps import denoise_steps
from ondes.errors import UserError, nearest
from ondes.models.dmc_unet import MULTIPLE, DmcUNet
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.triples import TripleStatistics, from_scaled, from_triples

if TYPE_CHECKING:
    import symusic.core

log = logging.getLogger(__name__)

TRAIN_STEPS = 1000
LINEAR = {
    "num_train_timesteps": TRAIN_STEPS,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
}
"""The published noise schedule (Ho et al. 2020, arXiv 2006.11239)."""

SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddpm": (DDPMScheduler, {"variance_type": "fixed_large"}),
    "ddim": (DDIMScheduler, {"set_alpha_to_one": True}),
}
"""Scheduler and settings of each sampler; "ddpm" adds noise of variance beta, as published."""

Progress = Callable[[float, float], None]
"""Called with the notes drawn and to be drawn, after every step of the sampler; what it raises stops the work."""


def make_dmc_scheduler(name: str) -> Any:
    """A scheduler by the name of a sampler.

    Raises:
        UserError: If there is no such sampler.
    """
    if name not in SAMPLERS:
        raise UserError(f"there is no sampler {name!r}: {nearest(name, SAMPLERS)}")
    scheduler, settings = SAMPLERS[name]
    return scheduler(**LINEAR, **settings)


class DmcPipeline(StoredPipeline):
    """Writes piano music as Diffusion-Music-Composer does: a segment of notes at once, from noise.

    Args:
        network: The network, with the statistics of its data.
        scheduler: DDPM or DDIM of diffusers.
        default_steps: Steps where the caller names none.
    """

    verbs: ClassVar = ("generate",)
    """It neither continues nor changes what is there."""

    choices: ClassVar = ("notes", "seed", "steps", "sampler")
    """What one may say about new pieces; nothing else was told in training."""

    def __init__(self, network: DmcUNet, scheduler: Any, default_steps: int = TRAIN_STEPS) -> None:
        super().__init__()
        self.register_modules(network=network, scheduler=scheduler)
        self.register_to_config(default_steps=default_steps)
        network.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **settings: Any) -> DmcPipeline:
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
            kind="composer",
            network=DmcUNet,
            around=lambda network: cls(network, make_dmc_scheduler("ddpm")),
            settings=settings,
        )

    def defaults(self) -> dict[str, Any]:
        """Settings of the sampler where a caller names none."""
        return {"steps": int(self.config["default_steps"])}

    @property
    def statistics(self) -> TripleStatistics:
        """How the network's triples are scaled.

        Raises:
            UserError: If the network was saved without.
        """
        config = self.network.config["statistics"]
        if config is None:
            raise UserError(
                "the network has no statistics of its training data, so its numbers mean no notes; train it with "
                "'ondes train compose-dmc', or import it with --statistics"
            )
        return TripleStatistics.from_config(config)

    def generate(
        self,
        n: int = 1,
        *,
        notes: int | None = None,
        seed: int | Sequence[int] = 0,
        steps: int | None = None,
        sampler: str | None = None,
        progress: Progress | None = None,
    ) -> list[symusic.core.ScoreTick]:
        """Pieces for piano at 60 quarter notes a minute, the tempo that the published system writes.

        Args:
            n: How many, as many as there are seeds, where several are given; piece k of a seed is the same in any
                number.
            notes: Of each piece, a multiple of 8; as many as in training where None, which it is best at.
            seed: Of the noise of all, or one for each piece.
            steps: Of the sampler, 1 to 1000.
            sampler: "ddpm" or "ddim"; the model's own scheduler where None.
            progress: See `Progress`.

        Raises:
            UserError: If a setting cannot be used, the network has no statistics, or makes NaN twice.
        """
        triples = self.sample(n, notes=notes, seed=seed, steps=steps, sampler=sampler, progress=progress)
        return [from_triples(piece) for piece in triples]

    def sample(
        self,
        n: int = 1,
        *,
        notes: int | None = None,
        seed: int | Sequence[int] = 0,
        steps: int | None = None,
        sampler: str | None = None,
        progress: Progress | None = None,
    ) -> Float64[np.ndarray, "n notes 3"]:
        """The triples of `generate`."""
        notes = int(self.network.config["notes"]) if notes is None else notes
        steps = int(self.config["default_steps"]) if steps is None else steps
        if n < 1 or notes < MULTIPLE or notes % MULTIPLE:
            raise UserError(
                f"{n} pieces of {notes} notes: give 1 piece or more, and a multiple of {MULTIPLE} notes"
            )
        if not 1 <= steps <= TRAIN_STEPS:
            raise UserError(f"{steps} steps: 1 to {TRAIN_STEPS} are allowed")
        statistics = self.statistics
        scheduler = copy.deepcopy(self.scheduler) if sampler is None else make_dmc_scheduler(sampler)
        items = [(seed, item) for item in range(n)] if isinstance(seed, int) else [(one, 0) for one in seed]
        n = len(items)
        scaled = self._denoise(items, notes, steps, scheduler, progress)
        broken = np.flatnonzero(~np.isfinite(scaled).all((1, 2)))
        if len(broken):
            log.warning("%d of %d pieces hold NaN or infinity: they are made again", len(broken), n)
            again = [(items[item][0], items[item][1] + n) for item in broken.tolist()]
            scaled[broken] = self._denoise(again, notes, steps, scheduler, progress)
        if not np.isfinite(scaled).all():
            raise UserError("the model makes NaN or infinity, twice; train it longer, or give other steps")
        return from_scaled(scaled, statistics)

    @torch.no_grad()
    def _denoise(
        self,
        items: list[tuple[int, int]],
        notes: int,
        steps: int,
        scheduler: Any,
        progress: Progress | None,
    ) -> np.ndarray:
        """Scaled triples of pieces, each from the noise of its own seed and number."""
        network: DmcUNet = self.network
        generators = [
            torch.Generator().manual_seed(position_seed(seed, "triples", item)) for seed, item in items
        ]
        shape = (notes, int(network.config["features"]))
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])

        def denoiser(noisy: Tensor, level: Tensor) -> Tensor:
            return network(noisy, (level * TRAIN_STEPS).round().long())

        def walked() -> Tensor:
            walk = denoise_steps(
                denoiser,
                noise.to(network.device, network.dtype),
                scheduler=scheduler,
                steps=steps,
                generators=generators,
            )
            made = noise
            for done, noisy in enumerate(walk, 1):
                made = noisy
                if progress is not None:
                    progress(len(items) * notes * done / steps, len(items) * notes)
            return made

        return kept(noise, walked).double().cpu().numpy()
