"""BigVGAN: a public vocoder that can stand in for ours."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.representations.mel import MelSpec

TAPS = 12
"""Length of the low-pass filter around each non-linearity."""

TRANSITION = 1.2
"""Width of the filter's transition band, as a share of half the doubled sample rate."""

SIDE = TAPS // 4
"""Samples on either side that one half of the doubling, up or down, looks at."""

SNAKE_REACH = 2 * SIDE - 1
"""Samples on either side that can change what comes out of both halves: where one looks furthest, the other does not.
"""

BLOCK_FRAMES = 128
"""Frames decoded at once, at multiples of this many frames from the beginning of a piece."""


@functools.cache
def low_pass_taps() -> Float[Tensor, "12"]:
    """The low-pass filter that halves the band: a sinc with its edge at a quarter of the rate, in a Kaiser window.

    The window's shape follows from `TAPS` and `TRANSITION` by Kaiser's formulas, and the sum is 1. Equals
    `scipy.signal.firwin(12, 0.5, window=("kaiser", kaiser_beta(kaiser_atten(6, 1.2))))`.
    """
    attenuation_db = 2.285 * (TAPS // 2 - 1) * math.pi * TRANSITION + 7.95
    beta = 0.1102 * (attenuation_db - 8.7)  # Kaiser's formula above 50 dB
    places = torch.arange(TAPS, dtype=torch.float64, device="cpu") - (TAPS - 1) / 2
    window = torch.kaiser_window(TAPS, periodic=False, beta=beta, dtype=torch.float64, device="cpu")
    taps = torch.sinc(places / 2) * window
    return (taps / taps.sum()).float()


class SnakeBeta(nn.Module):
    """x + sin²(alpha x) / beta, with alpha and beta of each channel kept as logarithms.

    Snake is by Liu et al. 2020, arXiv 2006.08195; the second parameter is BigVGAN's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(
        self, signal: Float[Tensor, "batch channels phases time"]
    ) -> Float[Tensor, "batch channels phases time"]:
        """The non-linearity, sample by sample."""
        alpha, beta = self.alpha.exp()[:, None, None], self.beta.exp()[:, None, None]
        return signal + (signal * alpha).sin().square() / (beta + 1e-9)


class AntiAliasedSnake(nn.Module):
    """`SnakeBeta` at twice the sample rate, between two low-pass filters (BigVGAN, section 3.3).

    The doubled signal is never put together: its even and odd samples are two channels, each filtered by the taps
    that meet it. The signal is continued by its first and last value.
    """

    rise: Tensor
    fall: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        taps, zero = low_pass_taps(), torch.zeros(1, device="cpu")
        to_even, to_odd = torch.cat([taps[1::2].flip(0), zero]), torch.cat([zero, taps[::2].flip(0)])
        from_even, from_odd = torch.cat([zero, taps[1::2]]), torch.cat([taps[::2], zero])
        self.register_buffer("rise", 2 * torch.stack([to_even, to_odd])[:, None], persistent=False)
        self.register_buffer("fall", torch.stack([from_even, from_odd])[None], persistent=False)

    def forward(self, signal: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels time"]:
        """The signal after the non-linearity, without the overtones that its sample rate cannot hold."""
        both = signal.shape[:2]
        padded = functional.pad(signal.flatten(0, 1)[:, None], (SIDE, SIDE), mode="replicate")
        phases = functional.conv1d(padded, self.rise)  # (batch * channels, even | odd, time)
        phases = self.act(phases.unflatten(0, both)).flatten(0, 1)
        before = phases[:, :1, :1].expand(-1, 2, SIDE)
        after = phases[:, 1:, -1:].expand(-1, 2, SIDE)
        return functional.conv1d(torch.cat([before, phases, after], -1), self.fall)[:, 0].unflatten(0, both)


class AMPBlock(nn.Module):
    """Anti-aliased multi-periodicity: residual steps of two convolutions, the first of them dilated."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=step, padding=step * (kernel // 2))
            for step in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in dilations
        )
        self.activations = nn.ModuleList(AntiAliasedSnake(channels) for _ in range(2 * len(dilations)))
        self.reach = sum((step + 1) * (kernel // 2) + 2 * SNAKE_REACH for step in dilations)
        """Samples on either side that can change a sample."""

    def forward(self, signal: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels time"]:
        """The signal plus what the steps add to it."""
        steps = zip(self.activations[::2], self.convs1, self.activations[1::2], self.convs2, strict=True)
        for first, dilated, second, plain in steps:
            signal = signal + plain(second(dilated(first(signal))))
        return signal


class BigVGAN(ModelMixin, ConfigMixin):
    """Log-mel spectrogram in, audio out, left and right each for itself.

    BigVGAN (Lee et al. 2023, arXiv 2206.04658) in the form of version 2: transposed convolutions raise the rate stage
    by stage and halve the channels, and after each the mean of several `AMPBlock`s shapes the waveform. The sizes
    given below are those of the public model for 44.1 kHz, 128 bands and 512 samples a frame, and modules are named as
    in its weights, which `ondes.checkpoints.bigvgan` reads.

    Args:
        width: Channels before the first stage.
        upsample_rates: By how much each stage raises the rate; their product is the hop.
        upsample_kernels: Lengths of the transposed convolutions.
        block_kernels: Lengths of the blocks' convolutions, odd, one a block of each stage.
        block_dilations: Dilations of each of these blocks.
        final_bias: Whether the last convolution has a bias.
        final_tanh: Whether a tanh bounds the audio; else it is clipped to full scale.
        sample_rate_hz: Rate of the audio.
        fft_size: Samples in a frame of the mel front end.
        bands: Mel bands.

    Raises:
        ValueError: If the sizes do not fit each other.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        width: int = 1536,
        upsample_rates: Sequence[int] = (8, 4, 2, 2, 2, 2),
        upsample_kernels: Sequence[int] = (16, 8, 4, 4, 4, 4),
        block_kernels: Sequence[int] = (3, 7, 11),
        block_dilations: Sequence[Sequence[int]] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        final_bias: bool = False,
        final_tanh: bool = False,
        sample_rate_hz: int = 44_100,
        fft_size: int = 2048,
        bands: int = 128,
    ) -> None:
        super().__init__()
        check_sizes(width, upsample_rates, upsample_kernels, block_kernels, block_dilations)
        self.spec = MelSpec(sample_rate_hz, fft_size, math.prod(upsample_rates), bands)
        self.final_tanh = final_tanh
        self.conv_pre = nn.Conv1d(bands, width, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel in zip(upsample_rates, upsample_kernels, strict=True):
            raised = nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2)
            self.ups.append(nn.ModuleList([raised]))
            width //= 2
            self.resblocks.extend(
                AMPBlock(width, size, steps)
                for size, steps in zip(block_kernels, block_dilations, strict=True)
            )
        self.activation_post = AntiAliasedSnake(width)
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3, bias=final_bias)

    @property
    def reach_frames(self) -> int:
        """Frames on either side that can change the audio of a frame."""
        reach = SNAKE_REACH + self.conv_post.kernel_size[0] // 2
        for raised, blocks in reversed(list(self._stages())):
            kernel, rate = raised.kernel_size[0], raised.stride[0]
            reach += max(block.reach for block in blocks)
            reach = math.ceil((reach + (kernel + rate) // 2 - 1) / rate)
        return reach + self.conv_pre.kernel_size[0] // 2

    def _stages(self) -> Iterator[tuple[nn.ConvTranspose1d, list[AMPBlock]]]:
        """Each transposed convolution with the blocks after it."""
        count = len(self.resblocks) // len(self.ups)
        for index, (raised,) in enumerate(self.ups):  # pyright: ignore[reportGeneralTypeIssues]
            yield raised, list(self.resblocks[index * count : (index + 1) * count])  # pyright: ignore

    def decode(self, log_mel: Float[Tensor, "batch bands frames"]) -> Float[Tensor, "batch samples"]:
        """Audio of one-channel spectrograms, in one piece: frames * hop samples each."""
        signal = self.conv_pre(log_mel)
        for raised, blocks in self._stages():
            signal = raised(signal)
            signal = torch.stack([block(signal) for block in blocks]).mean(0)
        audio = self.conv_post(self.activation_post(signal))[:, 0]
        return audio.tanh() if self.final_tanh else audio.clamp(-1, 1)

    def forward(self, log_mel: Float[Tensor, "batch 2 bands frames"]) -> Float[Tensor, "batch 2 samples"]:
        """Audio of a log-mel spectrogram.

        Args:
            log_mel: As `ondes.representations.mel.to_log_mel` makes it, one a channel.

        Returns:
            frames * hop samples a channel.
        """
        return torch.stack([self.stream().push(item, last=True) for item in log_mel])

    def stream(self) -> BigVGANStream:
        """A decoder of one log-mel that arrives in pieces."""
        return BigVGANStream(self)


def check_sizes(
    width: int,
    upsample_rates: Sequence[int],
    upsample_kernels: Sequence[int],
    block_kernels: Sequence[int],
    block_dilations: Sequence[Sequence[int]],
) -> None:
    """Refuse sizes of which no `BigVGAN` can be built, or one whose audio is not frames * hop long.

    Raises:
        ValueError: With the first rule that is broken.
    """
    rates, kernels = list(upsample_rates), list(upsample_kernels)
    sizes = [width, *rates, *kernels, *block_kernels, *itertools.chain(*block_dilations)]
    pairs = list(zip(rates, kernels, strict=False))
    rules = {
        "there is a stage, and a kernel for each": 0 < len(rates) == len(kernels),
        "there is a block, and dilations for each": 0 < len(block_kernels) == len(block_dilations),
        "sizes are positive": min(sizes) > 0,
        "kernels of stages are their rate and an even number more": all(
            kernel >= rate and (kernel - rate) % 2 == 0 for rate, kernel in pairs
        ),
        "kernels of blocks are odd": all(kernel % 2 for kernel in block_kernels),
        "the width can be halved at each stage": width % 2 ** len(rates) == 0,
    }
    broken = [rule for rule, kept in rules.items() if not kept]
    if broken:
        raise ValueError(f"sizes of the network do not fit: it must be that {broken[0]}")


class BigVGANStream:
    """Decodes a log-mel spectrogram that arrives in pieces.

    Work is done in blocks of `BLOCK_FRAMES` that lie at the same places of the piece however the frames arrive, each
    with all the frames in sight that can change it: any pieces give the very samples of the whole.

    Args:
        vocoder: In evaluation mode.
    """

    def __init__(self, vocoder: BigVGAN) -> None:
        self.vocoder = vocoder
        self.reach = vocoder.reach_frames
        self.mel = torch.zeros(2, vocoder.spec.bands, 0, device=vocoder.device)
        self.first, self.done = 0, 0

    @torch.no_grad()
    def push(
        self, log_mel: Float[Tensor, "2 bands frames"], *, last: bool = False
    ) -> Float[Tensor, "2 samples"]:
        """The audio that is certain now.

        Args:
            log_mel: The next frames.
            last: No more will come; the rest is given out.
        """
        self.mel = torch.cat([self.mel, log_mel], -1)
        end = self.first + self.mel.shape[-1]
        out = [self.mel.new_zeros(2, 0)]
        while self.done + BLOCK_FRAMES + self.reach <= end or (last and self.done < end):
            out.append(self._block(min(end, self.done + BLOCK_FRAMES)))
        return torch.cat(out, -1)

    def _block(self, stop: int) -> Tensor:
        """Samples of the frames up to `stop` that have not been given out."""
        audio = self.vocoder.decode(self.mel[..., : stop + self.reach - self.first])
        hop = self.vocoder.spec.hop_samples
        out = audio[:, (self.done - self.first) * hop : (stop - self.first) * hop]
        kept = max(self.first, stop - self.reach)
        self.mel, self.first, self.done = self.mel[..., kept - self.first :], kept, stop
        return out
