"""Griffin-Lim: audio from a log-mel spectrogram without any trained weights."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ondes.models.overlap_add import OverlapAdd, inverse_stft
from ondes.representations.mel import MelSpec, mel_inverse

BLOCK_FRAMES = 256
MARGIN_FRAMES = 16
"""Blocks are reconstructed with this much of the next one in sight."""


class GriffinLim(ModelMixin, ConfigMixin):
    """Fast Griffin-Lim (Perraudin et al. 2013) on the interpolated mel spectrum, both channels with one phase.

    The fallback where there is no trained vocoder, and the baseline of the evaluation. The phases begin at random
    from a fixed seed, so the result is always the same.

    Args:
        iterations: How often the phases are made consistent.
        momentum: 0 is the original algorithm; 0.99 is what the paper recommends.
        seed: Of the first phases.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, iterations: int = 32, momentum: float = 0.99, seed: int = 0) -> None:
        super().__init__()
        self.spec = MelSpec()
        # Saved, although it follows from the settings: a model without any weights cannot be loaded again.
        self.register_buffer("interpolate", mel_inverse(self.spec))

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.interpolate.device

    def forward(self, log_mel: Float[Tensor, "batch 2 bands frames"]) -> Float[Tensor, "batch 2 samples"]:
        """Audio of a log-mel spectrogram: frames * hop samples a channel."""
        return torch.stack([self.stream().push(item, last=True) for item in log_mel])

    def stream(self) -> GriffinLimStream:
        """A decoder of one log-mel that arrives in pieces."""
        return GriffinLimStream(self)

    def phases(self, magnitude: Tensor, angles: Tensor, fixed: int) -> Tensor:
        """Unit phasors (bins, frames) consistent with the magnitudes (2, bins, frames).

        Args:
            magnitude: Of both channels.
            angles: First phasors (bins, frames).
            fixed: Frames at the beginning that keep theirs.
        """
        momentum = float(self.config["momentum"])
        before = torch.zeros_like(angles)
        for _ in range(int(self.config["iterations"])):
            rebuilt = transform(inverse_stft(magnitude * angles, spec=self.spec), self.spec).sum(0)
            ahead = rebuilt - momentum / (1 + momentum) * before
            before = rebuilt
            moved = ahead / ahead.abs().clamp(min=1e-9)
            angles = torch.cat([angles[:, :fixed], moved[:, fixed:]], -1)
        return angles


def transform(samples: Float[Tensor, "channels samples"], spec: MelSpec) -> Tensor:
    """Short-time Fourier transform in the framing of `ondes.representations.mel`."""
    padded = functional.pad(samples[:, None], (spec.edge_samples, spec.edge_samples), mode="reflect")[:, 0]
    window = torch.hann_window(spec.fft_size, device=samples.device)
    return torch.stft(
        padded, spec.fft_size, spec.hop_samples, window=window, center=False, return_complex=True
    )


class GriffinLimStream:
    """Decodes in blocks at fixed places of the piece; each begins with the phases the one before ended with.

    Args:
        decoder: The settings.
    """

    def __init__(self, decoder: GriffinLim) -> None:
        self.decoder = decoder
        self.mel = torch.zeros(2, decoder.spec.bands, 0, device=decoder.device)
        self.before: Tensor | None = None
        self.generator = torch.Generator().manual_seed(int(decoder.config["seed"]))
        self.overlap = OverlapAdd(decoder.spec, decoder.device)

    @torch.no_grad()
    def push(
        self, log_mel: Float[Tensor, "2 bands frames"], *, last: bool = False
    ) -> Float[Tensor, "2 samples"]:
        """The audio that is certain now; see `ondes.models.vocoder.VocoderStream`."""
        self.mel = torch.cat([self.mel, log_mel], -1)
        out = [self.mel.new_zeros(2, 0)]
        while self._left() >= BLOCK_FRAMES + MARGIN_FRAMES:
            out.append(self._block(BLOCK_FRAMES, MARGIN_FRAMES))
        if last:
            if self._left() > 0:
                out.append(self._block(self._left(), 0))
            out.append(self.overlap.finish())
        return torch.cat(out, -1)

    def _left(self) -> int:
        return self.mel.shape[-1] - self._known()

    def _known(self) -> int:
        return 0 if self.before is None else self.before.shape[-1]

    def _block(self, frames: int, margin: int) -> Tensor:
        """Samples of the next frames; a few known frames come before them and `margin` unknown ones after."""
        known = self._known()
        log_mel = self.mel[..., : known + frames + margin]
        magnitude = self.decoder.interpolate @ log_mel.exp()
        shape = (magnitude.shape[1], frames + margin)
        turns = torch.rand(shape, generator=self.generator) * 2 * torch.pi
        fresh = torch.polar(torch.ones(shape), turns).to(magnitude.device)
        first = fresh if self.before is None else torch.cat([self.before, fresh], -1)
        angles = self.decoder.phases(magnitude, first, known)
        made = slice(known, known + frames)
        kept = min(MARGIN_FRAMES, frames)
        self.before = angles[:, known + frames - kept : known + frames]
        self.mel = self.mel[..., known + frames - kept :]
        # Each frame is heard with one phase, so blocks join without a click.
        return self.overlap.push(magnitude[..., made] * angles[..., made])
