"""Griffin-Lim as Msanii has it: centred frames, half overlap, each channel with phases of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

TINY = 1e-16

Progress = Callable[[int, int], None]
"""Called with the iterations done and to be done."""


def random_phases(shape: Sequence[int], generator: torch.Generator) -> Complex[Tensor, "..."]:
    """Where torchaudio begins: real and imaginary parts uniform in 0..1, so in the first quadrant and of any length."""
    return torch.rand(*shape, dtype=torch.complex64, generator=generator)


@torch.no_grad()
def griffin_lim(
    magnitude: Float[Tensor, "batch bins frames"],
    phases: Complex[Tensor, "batch bins frames"],
    *,
    hop_samples: int,
    iterations: int = 100,
    momentum: float = 0.99,
    samples: int | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "batch samples"]:
    """Audio whose spectrum has nearly these magnitudes (Griffin and Lim 1984; Perraudin et al. 2013).

    Equals `torchaudio.functional.griffinlim` and, with its momentum and `pad_mode="reflect"`, `librosa.griffinlim`.

    Args:
        magnitude: Of centred frames with reflected edges.
        phases: To begin with; they need not have length 1.
        hop_samples: Samples from frame to frame.
        iterations: How often the phases are made consistent.
        momentum: Used as momentum / (1 + momentum), as in torchaudio.
        samples: Length of the audio; whole hops where None.
        progress: Called after each iteration; what it raises ends the work.

    Raises:
        ValueError: If the momentum is not in 0 to 1, or there is less than no iteration.
    """
    if not 0 <= momentum < 1 or iterations < 0:
        raise ValueError(
            f"{iterations} iterations with momentum {momentum}: give 0 or more, and 0 to below 1"
        )
    size = (magnitude.shape[1] - 1) * 2
    framing = {"n_fft": size, "hop_length": hop_samples, "window": torch.hann_window(size).to(magnitude)}
    angles = phases.to(magnitude.device)
    before = torch.zeros_like(angles)
    for done in range(1, iterations + 1):
        inverse = torch.istft(magnitude * angles, length=samples, **framing)
        rebuilt = torch.stft(inverse, return_complex=True, **framing)
        angles = rebuilt - before * (momentum / (1 + momentum))
        angles = angles / (angles.abs() + TINY)
        before = rebuilt
        if progress is not None:
            progress(done, iterations)
    return torch.istft(magnitude * angles, length=samples, **framing)
