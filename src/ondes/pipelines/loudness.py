"""Loudness of a sound that arrives in blocks, by ITU-R BS.1770-4."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64

HOP_S = 0.1
"""Gating blocks of 0.4 s overlap by three quarters."""

HOPS_PER_BLOCK = 4
SILENCE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RESPONSE_S = 0.25
"""The slowest filter, a high pass at 38 Hz, is down by far more than 120 dB after this time."""


def biquads(sample_rate_hz: int) -> list[tuple[list[float], list[float]]]:
    """K-weighting as numerators and denominators: a shelf of +4 dB above 1.5 kHz, and a high pass at 38 Hz.

    BS.1770-4 gives numbers for 48 kHz alone; these are the analogue filters behind them, by Bristow-Johnson's formulas,
    as pyloudnorm has them (its "K-weighting").
    """
    gain = 10 ** (4.0 / 40)
    turn = 2 * math.pi * 1500.0 / sample_rate_hz
    cos, alpha = math.cos(turn), math.sin(turn) * math.sqrt(2) / 2
    root = 2 * math.sqrt(gain) * alpha
    shelf = (
        [
            gain * ((gain + 1) + (gain - 1) * cos + root),
            -2 * gain * ((gain - 1) + (gain + 1) * cos),
            gain * ((gain + 1) + (gain - 1) * cos - root),
        ],
        [
            (gain + 1) - (gain - 1) * cos + root,
            2 * ((gain - 1) - (gain + 1) * cos),
            (gain + 1) - (gain - 1) * cos - root,
        ],
    )
    turn = 2 * math.pi * 38.0 / sample_rate_hz
    cos, alpha = math.cos(turn), math.sin(turn)  # of a quality of 1/2
    passing = ([(1 + cos) / 2, -(1 + cos), (1 + cos) / 2], [1 + alpha, -2 * cos, 1 - alpha])
    return [shelf, passing]


class LoudnessMeter:
    """Measures integrated loudness; what it keeps of a sound is one number a tenth of a second.

    Args:
        sample_rate_hz: Rate of the sound.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.hop = round(HOP_S * sample_rate_hz)
        size = 1 << math.ceil(math.log2(RESPONSE_S * sample_rate_hz))
        self.taps = size
        self.block = 3 * size
        """Samples filtered at once, in transforms of four times the response."""
        turns = np.exp(-2j * np.pi * np.arange(2 * size + 1) / (4 * size))
        response = np.ones(len(turns), complex)
        for above, below in biquads(sample_rate_hz):
            response *= np.polyval(above[::-1], turns) / np.polyval(below[::-1], turns)
        self.response = response
        self.before: np.ndarray | None = None
        self.waiting: np.ndarray | None = None
        self.rest = np.zeros(0)
        self.powers: list[float] = []

    def push(self, samples: Float[np.ndarray, "channels _"]) -> None:
        """Measure the next block."""
        fresh = samples.astype(np.float64)
        self.waiting = fresh if self.waiting is None else np.concatenate([self.waiting, fresh], axis=1)
        while self.waiting.shape[1] >= self.block:
            self._measure(self.waiting[:, : self.block])
            self.waiting = self.waiting[:, self.block :]

    def lufs(self) -> float:
        """Loudness of all that was pushed, after which no more can be; -inf of silence and of less than 0.4 s."""
        if self.waiting is not None and self.waiting.shape[1]:
            self._measure(self.waiting)
            self.waiting = self.waiting[:, :0]
        hops = np.array(self.powers)
        if len(hops) < HOPS_PER_BLOCK:
            return -math.inf
        blocks = np.convolve(hops, np.ones(HOPS_PER_BLOCK) / HOPS_PER_BLOCK, "valid")
        blocks = blocks[to_lufs(blocks) > SILENCE_LUFS]
        if not len(blocks):
            return -math.inf
        gate = float(to_lufs(blocks.mean()[None])[0]) + RELATIVE_GATE_LU
        return float(to_lufs(blocks[to_lufs(blocks) > gate].mean()[None])[0])

    def _measure(self, samples: np.ndarray) -> None:
        """Power after K-weighting, summed over channels, in hops; overlap-save."""
        if self.before is None:
            self.before = np.zeros((len(samples), self.taps))
        joined = np.concatenate([self.before, samples], axis=1)
        self.before = joined[:, joined.shape[1] - self.taps :]
        spectrum = np.fft.rfft(joined, 4 * self.taps)
        filtered = np.fft.irfft(spectrum * self.response)[:, self.taps : joined.shape[1]]
        power = np.concatenate([self.rest, np.square(filtered).sum(0)])
        whole = len(power) // self.hop
        self.powers += power[: whole * self.hop].reshape(whole, self.hop).mean(1).tolist()
        self.rest = power[whole * self.hop :]


def to_lufs(power: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Loudness of the mean square of K-weighted samples, summed over channels."""
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-30))
