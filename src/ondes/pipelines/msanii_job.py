"""What the tasks of Msanii have in common: draws, evaluations of the networks, and phases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.audio import Audio
from ondes.diffusion.ddim import ddim_steps, even_timesteps, published_timesteps
from ondes.diffusion.noise import position_seed
from ondes.diffusion.repaint import evaluations, published_repaint_steps, repaint_path, repaint_steps
from ondes.diffusion.sampling import kept
from ondes.errors import UserError
from ondes.models.msanii_griffin_lim import griffin_lim, random_phases
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.representations.msanii_mel import MsaniiFeatures

Progress = Callable[[float, float], None]
"""Called with the work done and to be done: evaluations of the network, and iterations of Griffin-Lim."""

Features = Float[Tensor, "channels bands frames"]


class MsaniiJob:
    """Work with one choice of settings: what it draws, counts and asks the networks.

    Args:
        pipeline: Whose networks, schedule and settings; an `ondes.pipelines.msanii.MsaniiPipeline`.
        progress: Whom to tell.
        items: How many results there will be.
        jumps: Length and number of RePaint's.
        steps: Of the sampler.
        eta: Of DDIM.
        use_vocoder: Or else the pseudo-inverse of the filters.
        griffin_lim_iterations: Of each result.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        progress: Progress | None,
        items: int,
        jumps: tuple[int, int] = (10, 10),
        steps: int | None = None,
        eta: float = 0.0,
        use_vocoder: bool = True,
        griffin_lim_iterations: int | None = None,
    ) -> None:
        self.pipeline, self.progress, self.items, self.jumps = pipeline, progress, items, jumps
        self.kept: list[float] = pipeline.scheduler.alphas_cumprod.tolist()
        self.steps = int(pipeline.config["default_steps"] if steps is None else steps)
        given = griffin_lim_iterations
        self.iterations = int(pipeline.config["griffin_lim_iterations"] if given is None else given)
        self.eta, self.use_vocoder = float(eta), use_vocoder
        if not 1 <= self.steps <= len(self.kept) or self.iterations < 0 or not 0 <= self.eta <= 1:
            raise UserError(
                f"{self.steps} steps, {self.iterations} iterations of Griffin-Lim and eta {eta}: 1 to "
                f"{len(self.kept)}, 0 or more, and 0 to 1 are allowed"
            )
        if min(jumps) < 1:
            raise UserError(f"jumps of {jumps[0]} steps, {jumps[1]} times: give 1 or more of each")
        self.done = self.total = 0.0

    def grid(self, strength: float) -> list[int]:
        """Timesteps of a run.

        Raises:
            UserError: If the strength is none.
        """
        if not 0 < strength <= 1:
            raise UserError(f"a strength of {strength}: above 0 to 1 is allowed; 0.1 to 0.5 keep the sound")
        make = published_timesteps if self.pipeline.compat else even_timesteps
        return make(self.steps, strength=strength, train_steps=len(self.kept))

    def repaint_evaluations(self) -> int:
        """How often one window asks the network."""
        return evaluations(repaint_path(self.steps, jump_length=self.jumps[0], jumps=self.jumps[1]))

    def expect(self, evaluations_each: int) -> None:
        """So much work is there for each result."""
        self.total = self.items * (evaluations_each + self.iterations)

    def count(self) -> None:
        """A unit of work is done."""
        self.done += 1
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)

    def begin(self, seed: int) -> None:
        """Start with a result."""
        self.generators = [torch.Generator().manual_seed(position_seed(seed, "msanii"))]
        self.phases = torch.Generator().manual_seed(position_seed(seed, "msanii phases"))

    def noise(self, frames: int, channels: int) -> Features:
        """Standard normal features."""
        bands = int(self.pipeline.unet.config["bands"])
        noise = torch.randn(channels, bands, frames, generator=self.generators[0])
        return noise.to(self.pipeline.unet.device)

    def noise_like(self, features: Features) -> Features:
        """The same in a shape that is there."""
        return self.noise(features.shape[-1], features.shape[0])

    @torch.no_grad()
    def _ask(self, noisy: Tensor, timestep: Tensor) -> Tensor:
        answer = self.pipeline.unet(noisy, timestep)
        self.count()
        return answer

    def denoise(self, noisy: Features, timesteps: Sequence[int]) -> Features:
        """The data, down a grid."""
        return kept(noisy, lambda: self._denoised(noisy, timesteps), generators=self.generators)

    def _denoised(self, noisy: Features, timesteps: Sequence[int]) -> Features:
        """See `denoise`."""
        walk = ddim_steps(
            self._ask,
            noisy[None],
            timesteps,
            kept=self.kept,
            eta=self.eta,
            clip=self._clip(),
            generators=self.generators,
        )
        return _last(walk)

    def repaint(self, features: Features, known: Bool[Tensor, " frames"]) -> Features:
        """The features, where they are not known made anew."""
        noise = self.noise_like(features)[None]
        begin = torch.where(known, features, noise)
        return kept(begin, lambda: self._repainted(features, known, noise), generators=self.generators)

    def _repainted(self, features: Features, known: Bool[Tensor, " frames"], noise: Tensor) -> Features:
        """See `repaint`."""
        settings: dict[str, Any] = {"eta": self.eta, "generators": self.generators}
        length, times = self.jumps
        if self.pipeline.compat:
            walk = published_repaint_steps(
                self._ask,
                noise,
                features[None],
                known,
                self.pipeline.scheduler,
                steps=self.steps,
                jump_length=length,
                jumps=times,
                **settings,
            )
            return _last(walk)
        grid = even_timesteps(self.steps, train_steps=len(self.kept))
        path = repaint_path(len(grid), jump_length=length, jumps=times)
        settings |= {"kept": self.kept, "clip": self._clip()}
        return _last(repaint_steps(self._ask, noise, features[None], known, grid, path, **settings))

    def next_half(self, given: Features, half: int | None = None, *, forward: bool = True) -> Features:
        """Half a window that follows what is given, or comes before it; less than half may be given."""
        half = given.shape[-1] if half is None else half
        window = given.new_zeros(*given.shape[:-1], 2 * half)
        known = torch.zeros(2 * half, dtype=torch.bool, device=given.device)
        count = given.shape[-1]
        place = slice(half - count, half) if forward else slice(half, half + count)
        window[..., place], known[place] = given, True
        made = self.repaint(window, known)
        return made[..., half:] if forward else made[..., :half]

    def _clip(self) -> float | None:
        return 1.0 if self.pipeline.scheduler.config["clip_sample"] else None

    @torch.no_grad()
    def finish(self, features: Features, samples: int) -> Audio:
        """Audio of features.

        Raises:
            UserError: If the networks made NaN or infinity.
        """
        ours, vocoder = self.pipeline.features, self.pipeline.vocoder
        if vocoder is None or not self.use_vocoder:
            magnitude = ours.magnitude(features)
        else:
            theirs = features_of(vocoder)
            seen = features
            if theirs != ours:
                seen = theirs.scaling.to_features(ours.scaling.from_features(features))
            magnitude = vocoder(seen[None])[0]
        if not bool(magnitude.isfinite().all()):
            raise UserError("the model makes NaN or infinity; train it longer, or give other steps")
        made = griffin_lim(
            magnitude,
            random_phases(magnitude.shape, self.phases),
            hop_samples=ours.spec.hop_samples,
            iterations=self.iterations,
            momentum=float(self.pipeline.config["griffin_lim_momentum"]),
            samples=ours.spec.samples(features.shape[-1]),
            progress=lambda _, __: self.count(),
        )
        return Audio(made[:, :samples].cpu().numpy(), ours.spec.sample_rate_hz)


def features_of(network: MsaniiUNet | MsaniiVocoder) -> MsaniiFeatures:
    """How audio becomes what a network sees.

    Raises:
        UserError: If the network was saved without.
    """
    config = network.config["features"]
    if config is None:
        raise UserError(
            f"the {type(network).__name__} does not say how its features are scaled; train it with 'ondes train'"
        )
    return MsaniiFeatures.from_config(config)


def _last(walk: Iterator[Tensor]) -> Features:
    """The end of a walk, without the batch."""
    made = None
    for made in walk:  # noqa: B007
        pass
    assert made is not None
    return made[0]
