"""Vocoder: stereo log-mel spectrograms to stereo audio."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.models.overlap_add import OverlapAdd
from ondes.representations.mel import MelSpec, mel_inverse, to_log_mel

LOG_MEL_CENTRE = -5.0
LOG_MEL_SCALE = 3.0
"""Log-mels are shifted and scaled by round numbers near their mean and spread over music."""

LOG_GAIN_LIMIT = 6.0
"""The network may move a bin by at most this many nepers from the interpolated mel: a bound on its errors."""

NOISE_KNOT_FRAMES = 12
"""Frames after which the phases of noise have wandered to independent ones, about 0.14 s."""

TONE_KNOT_FRAMES = 48
"""The same of the difference between the channels of a tone, about as long as a note: 0.56 s."""

COHERENCE_AT_FIRST = 0.75
"""Coherence of left and right that an untrained network predicts above the tonal bins, near the mean of music's."""

BLOCK_FRAMES = 64
"""Frames decoded at once, at multiples of this many frames from the beginning of a piece."""


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a gated step per frame.

    ConvNeXt (Liu et al. 2022, arXiv 2201.03545) in one dimension, as in Vocos (Siuzdak 2023, arXiv 2306.00814).
    """

    def __init__(self, width: int, hidden: int, *, kernel_frames: int, scale: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel_frames, padding=kernel_frames // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, frames: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        """Frames plus what the block adds to them."""
        mixed = self.norm(self.mix(frames).transpose(1, 2))
        added = self.contract(functional.gelu(self.expand(mixed), approximate="tanh")) * self.scale
        return frames + added.transpose(1, 2)


class BinPredictions(NamedTuple):
    """What the network says of every bin of every frame, all (batch, ..., bins, frames).

    Attributes:
        log_magnitude: Natural logarithm of the magnitude, one a channel: (batch, channels, bins, frames).
        carry: Complex factors on the phasors of the frame before, at the bin below, the bin itself and the bin above:
            (batch, 3, tonal bins, frames).
        fresh: Complex phasor that needs no past, as an onset has it: (batch, tonal bins, frames).
        spread: Expected phasor of left over right; its length is their coherence: (batch, bins, frames). None for
            mono.
    """

    log_magnitude: Tensor
    carry: Tensor
    fresh: Tensor
    spread: Tensor | None

    def frames(self, wanted: slice) -> BinPredictions:
        """The predictions of some frames only."""
        return BinPredictions(*(None if part is None else part[..., wanted] for part in self))  # pyright: ignore[reportArgumentType]


def to_unit(phasors: Tensor) -> Tensor:
    """Phasors of length one in the same direction, with a finite gradient at zero."""
    return phasors / (phasors.real.square() + phasors.imag.square() + 1e-8).sqrt()


def predict_phasors(carry: Tensor, fresh: Tensor, before: Tensor) -> Tensor:
    """Phasors of a frame from those of the frame before.

    A sinusoid turns every bin of its main lobe by the same angle from frame to frame, so three neighbours vote. The
    result's length says how sure they are.

    Args:
        carry: (batch, 3, bins, ...) complex factors.
        fresh: (batch, bins, ...) complex phasors.
        before: (batch, bins, ...) phasors of the frame before, zero where there is none.

    Returns:
        (batch, bins, ...) complex phasors, not of unit length.
    """
    padded = torch.cat([torch.zeros_like(before[:, :1]), before, torch.zeros_like(before[:, :1])], 1)
    votes = carry[:, 0] * padded[:, :-2] + carry[:, 1] * before + carry[:, 2] * padded[:, 2:]
    return votes + fresh


def centre_turns(bins: int, spec: MelSpec) -> Tensor:
    """How far a sinusoid at the centre of each bin turns in a hop, as unit phasors (bins,)."""
    turns = torch.arange(bins, dtype=torch.float64) * spec.hop_samples / spec.fft_size
    angles = (2 * math.pi * torch.remainder(turns, 1)).float()
    return torch.polar(torch.ones_like(angles), angles)


class Vocoder(ModelMixin, ConfigMixin):
    """Log-mel spectrogram in, audio out, both channels of stereo in one pass.

    A Vocos-like network (Siuzdak 2023, arXiv 2306.00814): ConvNeXt blocks at the frame rate, a head that describes
    each bin, one inverse transform. It differs where music differs from speech:

    * A network that sees the same mel frame after frame can only answer with the same phases, but those of a steady
      tone must turn. So the head predicts how each bin's phase moves on from the frame before, as a phase vocoder does
      (`predict_phasors`), beside the phase it would begin with.
    * The magnitude is the mel spectrum, interpolated, times a bounded gain: the envelope is right from the first step.
    * Left and right share the phase of their sum and differ by a predicted angle, scattered by as much as the
      predicted coherence of the two leaves open.

    Args:
        width: Channels of the blocks.
        hidden: Channels inside a block.
        blocks: Number of blocks.
        kernel_frames: Length of the depthwise convolutions, odd.
        sample_rate_hz: Rate of the audio.
        fft_size: Samples in a frame.
        hop_samples: Samples from frame to frame.
        bands: Mel bands.
        tonal_bins: Bins whose phases are predicted; those above, mostly noise in music, take a random walk.
        channels: 2 for stereo, 1 for mono.
    """

    config_name = "config.json"
    interpolate: Tensor
    turns: Tensor

    @register_to_config
    def __init__(
        self,
        width: int = 256,
        hidden: int = 768,
        blocks: int = 8,
        kernel_frames: int = 7,
        sample_rate_hz: int = 44_100,
        fft_size: int = 2048,
        hop_samples: int = 512,
        bands: int = 128,
        tonal_bins: int = 512,
        channels: int = 2,
    ) -> None:
        super().__init__()
        self.spec = MelSpec(sample_rate_hz, fft_size, hop_samples, bands)
        self.tonal_bins, self.channels = tonal_bins, channels
        self.bins = fft_size // 2 + 1
        self.reach_frames = (blocks + 1) * (kernel_frames // 2)
        """Frames on either side that can change the predictions for a frame."""
        self.enter = nn.Conv1d(channels * bands, width, kernel_frames, padding=kernel_frames // 2)
        self.enter_norm = nn.LayerNorm(width, eps=1e-6)
        self.stack = nn.ModuleList(
            ConvNeXtBlock(width, hidden, kernel_frames=kernel_frames, scale=1 / blocks) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.gain = nn.Linear(width, channels * self.bins)
        self.phasors = nn.Linear(width, 2 * 4 * tonal_bins)
        self.spread = nn.Linear(width, 2 * self.bins) if channels == 2 else None
        self.register_buffer("interpolate", mel_inverse(self.spec), persistent=False)
        self.register_buffer(
            "turns", torch.view_as_real(centre_turns(tonal_bins, self.spec)), persistent=False
        )
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        nn.init.normal_(self.phasors.weight, std=0.002)
        nn.init.zeros_(self.phasors.bias)
        if self.spread is not None:
            nn.init.normal_(self.spread.weight, std=0.002)
            nn.init.zeros_(self.spread.bias)
            with torch.no_grad():
                self.spread.bias[2 * tonal_bins :: 2] = COHERENCE_AT_FIRST

    def predict(self, log_mel: Float[Tensor, "batch channels bands frames"]) -> BinPredictions:
        """Magnitudes, phase advances and coherence of every bin."""
        batch, _, _, frames = log_mel.shape
        features = self.enter(((log_mel - LOG_MEL_CENTRE) / LOG_MEL_SCALE).flatten(1, 2))
        features = self.enter_norm(features.transpose(1, 2)).transpose(1, 2)
        for block in self.stack:
            features = block(features)
        features = self.norm(features.transpose(1, 2))
        gain = self.gain(features).float().view(batch, frames, self.channels, self.bins).permute(0, 2, 3, 1)
        envelope = (self.interpolate @ log_mel.float().exp()).clamp(min=1e-7)
        phasors = (
            self.phasors(features).float().view(batch, frames, 4, self.tonal_bins, 2).permute(0, 2, 3, 1, 4)
        )
        phasors = torch.view_as_complex(phasors.contiguous())
        spread = None
        if self.spread is not None:
            spread = self.spread(features).float().view(batch, frames, self.bins, 2).transpose(1, 2)
            spread = torch.view_as_complex(spread.contiguous())
        return BinPredictions(
            envelope.log() + LOG_GAIN_LIMIT * torch.tanh(gain / LOG_GAIN_LIMIT),
            phasors[:, :3] * torch.view_as_complex(self.turns)[:, None],
            phasors[:, 3],
            spread,
        )

    def integrate(self, predictions: BinPredictions, before: Tensor | None = None) -> Tensor:
        """Unit phasors (batch, bins, frames), each frame from the one before.

        Args:
            predictions: Of consecutive frames.
            before: Unit phasors (batch, bins) of the frame before the first; none at the beginning of the audio.
        """
        state = torch.zeros_like(predictions.fresh[..., 0]) if before is None else before
        out = []
        for carry, fresh in zip(predictions.carry.unbind(-1), predictions.fresh.unbind(-1), strict=True):
            state = to_unit(predict_phasors(carry, fresh, state))
            out.append(state)
        return torch.stack(out, -1)

    def spectrum(self, predictions: BinPredictions, phasors: Tensor, *, start_frame: int = 0) -> Tensor:
        """Complex spectrogram (batch, channels, bins, frames).

        Args:
            predictions: Of the frames.
            phasors: Unit phasors (batch, tonal bins, frames) of the sum of both channels.
            start_frame: Position of the first frame in the piece, on which the random parts depend.
        """
        magnitude = predictions.log_magnitude.exp()
        frames = magnitude.shape[-1]
        noise = self._noise_phasors(start_frame, frames).to(magnitude.device)
        middle = torch.cat([phasors, noise.expand(len(phasors), -1, -1)], 1)[:, None]
        if predictions.spread is None:
            return magnitude * middle
        difference = self._channel_difference(predictions.spread, start_frame)
        # The louder channel dominates the phase of the sum, so the softer one takes more of the difference.
        share = magnitude / magnitude.sum(1, keepdim=True)
        angles = torch.stack([difference * share[:, 1], -difference * share[:, 0]], 1)
        return magnitude * middle * torch.polar(torch.ones_like(angles), angles)

    def _channel_difference(self, spread: Tensor, start_frame: int) -> Tensor:
        """Angles of left over right (batch, bins, frames) whose mean phasors are `spread`."""
        frames = spread.shape[-1]
        scatter = [
            position_walk(self.tonal_bins, start_frame, frames, knot_frames=TONE_KNOT_FRAMES, purpose="tone"),
            position_walk(
                self.bins - self.tonal_bins,
                start_frame,
                frames,
                knot_frames=NOISE_KNOT_FRAMES,
                purpose="side",
            ),
        ]
        coherence = spread.abs().clamp(1e-3, 1 - 1e-4)
        return spread.angle() + (-2 * coherence.log()).sqrt() * torch.cat(scatter).to(spread.device)

    def _noise_phasors(self, start_frame: int, frames: int) -> Tensor:
        """Phasors (bins, frames) of the bins above the tonal ones: turning at their centre, and wandering."""
        bins = torch.arange(self.tonal_bins, self.bins)
        positions = torch.arange(start_frame, start_frame + frames)
        turns = (bins[:, None] * positions) % (self.spec.fft_size // self.spec.hop_samples)
        turn = turns * (2 * math.pi * self.spec.hop_samples / self.spec.fft_size)
        walk = position_walk(len(bins), start_frame, frames, knot_frames=NOISE_KNOT_FRAMES, purpose="middle")
        angles = turn + math.pi * walk
        return torch.polar(torch.ones_like(angles), angles)

    def analyse(
        self, samples: Float[Tensor, "batch channels time"]
    ) -> tuple[Float[Tensor, "batch channels bands frames"], Float[Tensor, "batch channels samples"]]:
        """The log-mel of audio, and the samples that the network should make of it: what training needs."""
        return to_log_mel(samples, spec=self.spec), samples

    def forward(
        self, log_mel: Float[Tensor, "batch channels bands frames"]
    ) -> Float[Tensor, "batch channels samples"]:
        """Audio of a log-mel spectrogram.

        Args:
            log_mel: As `ondes.representations.mel.to_log_mel` makes it, one a channel.

        Returns:
            frames * hop samples a channel.
        """
        return torch.stack([self.stream().push(item, last=True) for item in log_mel])

    def stream(self) -> VocoderStream:
        """A decoder of one log-mel that arrives in pieces."""
        return VocoderStream(self)


def position_walk(
    bins: int, start_frame: int, frames: int, *, knot_frames: int, purpose: str
) -> Float[Tensor, "bins frames"]:
    """Unit-variance noise, smooth in time, that depends on the position in the piece and the purpose alone.

    Independent normal values every `knot_frames`, blended with cosine weights whose squares sum to one.
    """
    first, offset = divmod(start_frame, knot_frames)
    knots = range(first, first + (offset + frames) // knot_frames + 2)
    seeds = [zlib.crc32(f"{purpose}/{knot}".encode()) for knot in knots]
    values = torch.stack(
        [torch.randn(bins, generator=torch.Generator().manual_seed(seed)) for seed in seeds], 1
    )
    places = (torch.arange(frames) + offset) / knot_frames
    left = places.long()
    angle = (places - left) * (math.pi / 2)
    return values[:, left] * angle.cos() + values[:, left + 1] * angle.sin()


class VocoderStream:
    """Decodes a log-mel spectrogram that arrives in pieces.

    The phases are a recursion that forgets nothing, so rounding would make other phases of other pieces. All work is
    therefore done in blocks of `BLOCK_FRAMES` that lie at the same places of the piece however the frames arrive: any
    pieces give the very samples of the whole. Between blocks are kept the frames that the convolutions still reach,
    the last phases, and the overlap of the inverse transform.

    Args:
        vocoder: In evaluation mode.
    """

    def __init__(self, vocoder: Vocoder) -> None:
        self.vocoder = vocoder
        spec = vocoder.spec
        self.mel = torch.zeros(vocoder.channels, spec.bands, 0, device=vocoder.device)
        self.first, self.done = 0, 0
        self.phasors: Tensor | None = None
        self.overlap = OverlapAdd(spec, vocoder.device, channels=vocoder.channels)

    @torch.no_grad()
    def push(
        self, log_mel: Float[Tensor, "channels bands frames"], *, last: bool = False
    ) -> Float[Tensor, "channels samples"]:
        """The audio that is certain now.

        Args:
            log_mel: The next frames.
            last: No more will come; the rest is given out.
        """
        self.mel = torch.cat([self.mel, log_mel], -1)
        end = self.first + self.mel.shape[-1]
        out = [self.mel.new_zeros(len(self.mel), 0)]
        while self.done + BLOCK_FRAMES + self.vocoder.reach_frames <= end:
            out.append(self._block(self.done + BLOCK_FRAMES))
        if last:
            while self.done < end:
                out.append(self._block(min(end, self.done + BLOCK_FRAMES)))
            out.append(self.overlap.finish())
        return torch.cat(out, -1)

    def _block(self, stop: int) -> Tensor:
        """Samples that are certain once the frames up to `stop` are decoded."""
        reach = self.vocoder.reach_frames
        window = self.mel[None, ..., : stop + reach - self.first]
        predictions = self.vocoder.predict(window).frames(slice(self.done - self.first, stop - self.first))
        phasors = self.vocoder.integrate(predictions, self.phasors)
        self.phasors = phasors[..., -1]
        out = self.overlap.push(self.vocoder.spectrum(predictions, phasors, start_frame=self.done)[0])
        kept = max(self.first, stop - reach)
        self.mel, self.first, self.done = self.mel[..., kept - self.first :], kept, stop
        return out
