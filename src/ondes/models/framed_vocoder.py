"""Our vocoder for the log-mels of the published Spectrogram Diffusion models: 16 kHz mono, 50 frames a second."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor

from ondes.models.vocoder import BinPredictions, Vocoder
from ondes.representations.framed_mel import OFFICIAL, framed_mel_inverse, to_framed_log_mel

DELAY_SAMPLES = (OFFICIAL.window_samples - OFFICIAL.hop_samples) // 2
"""The official frame i is centred on sample 320 i + 320, a frame of `Vocoder` on 320 i + 160."""


class FramedVocoder(ModelMixin, ConfigMixin):
    """The network of `Vocoder` for one channel, behind the official front end of Spectrogram Diffusion.

    Its own frames are longer than those of the front end (1024 samples instead of 640 padded to 1024): they overlap
    more, and so agree better on the phases.

    Args:
        width: Channels of the blocks.
        hidden: Channels inside a block.
        blocks: Number of blocks.
        kernel_frames: Length of the depthwise convolutions, odd.
        tonal_bins: Bins of 15.6 Hz whose phases are predicted.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        width: int = 192,
        hidden: int = 576,
        blocks: int = 6,
        kernel_frames: int = 7,
        tonal_bins: int = 320,
    ) -> None:
        super().__init__()
        self.core = Vocoder(
            width=width,
            hidden=hidden,
            blocks=blocks,
            kernel_frames=kernel_frames,
            sample_rate_hz=OFFICIAL.sample_rate_hz,
            fft_size=OFFICIAL.fft_size,
            hop_samples=OFFICIAL.hop_samples,
            bands=OFFICIAL.bands,
            tonal_bins=tonal_bins,
            channels=1,
        )
        # A longer window gathers more of a tone.
        self.core.interpolate = framed_mel_inverse() * (OFFICIAL.fft_size / OFFICIAL.window_samples)
        self.spec, self.tonal_bins = self.core.spec, tonal_bins

    def analyse(
        self, samples: Float[Tensor, "batch 1 time"]
    ) -> tuple[Float[Tensor, "batch 1 bands frames"], Float[Tensor, "batch 1 samples"]]:
        """The log-mel of audio, and the samples that the network should make of it, `DELAY_SAMPLES` later.

        The last frames of the audio are left out: they would reach beyond its end.
        """
        hop = OFFICIAL.hop_samples
        frames = (samples.shape[-1] - OFFICIAL.window_samples) // hop + 1
        log_mel = to_framed_log_mel(samples)[..., :frames, :].transpose(-1, -2)
        return log_mel, samples[..., DELAY_SAMPLES : DELAY_SAMPLES + frames * hop]

    def predict(self, log_mel: Float[Tensor, "batch 1 bands frames"]) -> BinPredictions:
        """As `Vocoder.predict`."""
        return self.core.predict(log_mel)

    def integrate(self, predictions: BinPredictions, before: Tensor | None = None) -> Tensor:
        """As `Vocoder.integrate`."""
        return self.core.integrate(predictions, before)

    def spectrum(self, predictions: BinPredictions, phasors: Tensor, *, start_frame: int = 0) -> Tensor:
        """As `Vocoder.spectrum`."""
        return self.core.spectrum(predictions, phasors, start_frame=start_frame)

    @torch.no_grad()
    def forward(self, log_mel: Float[Tensor, "frames bands"]) -> Float[Tensor, " samples"]:
        """Audio of a log-mel spectrogram in the official layout, unscaled: frames * hop samples."""
        stream = self.stream()
        return stream.push(log_mel, last=True)

    def stream(self) -> FramedVocoderStream:
        """A decoder of one log-mel that arrives in pieces; any pieces give the very samples of the whole."""
        return FramedVocoderStream(self)


class FramedVocoderStream:
    """Decodes a log-mel spectrogram that arrives in pieces.

    Args:
        vocoder: In evaluation mode.
    """

    def __init__(self, vocoder: FramedVocoder) -> None:
        self.inner = vocoder.core.stream()
        self.waiting = torch.zeros(DELAY_SAMPLES, device=vocoder.device)

    def push(
        self, log_mel: Float[Tensor, "frames bands"], *, last: bool = False
    ) -> Float[Tensor, " samples"]:
        """The audio that is certain now.

        Args:
            log_mel: The next frames.
            last: No more will come; the rest is given out.
        """
        made = torch.cat([self.waiting, self.inner.push(log_mel.T[None], last=last)[0]])
        self.waiting = made[:0]
        return made[: len(made) - DELAY_SAMPLES] if last else made
