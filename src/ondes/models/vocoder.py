"""Vocoder: stereo log-mel spectrograms to stereo audio."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.representations.mel import MEL, MelSpec, mel_inverse

LOG_MEL_CENTRE = -5.0
LOG_MEL_SCALE = 3.0
"""Log-mels are shifted and scaled by round numbers near their mean and spread over music."""

LOG_GAIN_LIMIT = 6.0
"""The network may move a bin by at most this many nepers from the interpolated mel: a bound on its errors."""

KNOT_FRAMES = 12
"""Frames between independent values of `position_walk`, about 0.14 s."""

NOISE_WIDTH = 0.3
"""How far left and right wander apart above the tonal bins, as a share of how far they wander together."""

BLOCK_FRAMES = 64
"""Frames decoded at once, at multiples of this many frames from the beginning of a piece."""

LEAST_ENERGY = 1e-3
"""Window energy below which the inverse transform does not amplify."""


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


def overlap_add(spectrum: Complex[Tensor, "batch bins frames"], *, spec: MelSpec) -> tuple[Tensor, Tensor]:
    """Windowed frames added up (batch, samples), and the window's energy there (samples,)."""
    window = torch.hann_window(spec.fft_size, device=spectrum.device)
    pieces = torch.fft.irfft(spectrum, n=spec.fft_size, dim=1) * window[:, None]
    frames = spectrum.shape[-1]
    length = (frames - 1) * spec.hop_samples + spec.fft_size
    sizes = {"output_size": (1, length), "kernel_size": (1, spec.fft_size), "stride": (1, spec.hop_samples)}
    audio = functional.fold(pieces, **sizes)[:, 0, 0]
    energy = functional.fold(window.square()[None, :, None].expand(1, -1, frames), **sizes)[0, 0, 0]
    return audio, energy


def inverse_stft(
    spectrum: Complex[Tensor, "batch bins frames"], *, spec: MelSpec = MEL
) -> Float[Tensor, "batch samples"]:
    """Audio of which `spectrum` is the transform in the framing of `ondes.representations.mel`.

    Least squares over overlapping frames (Griffin and Lim 1984, equation 6); samples at the edges, of which only a part
    of the frames is kept, are divided by the window energy that is there.

    Args:
        spectrum: Complex spectrogram with fft_size / 2 + 1 bins.
        spec: The framing.

    Returns:
        frames * hop samples.
    """
    audio, energy = overlap_add(spectrum, spec=spec)
    kept = slice(spec.edge_samples, audio.shape[-1] - spec.edge_samples)
    return audio[:, kept] / energy[kept].clamp(min=LEAST_ENERGY)


class OverlapAdd:
    """`inverse_stft` of frames that arrive in pieces: both channels, to the very last sample of the whole.

    Args:
        spec: The framing.
        device: Where the frames are.
    """

    def __init__(self, spec: MelSpec, device: torch.device) -> None:
        self.spec = spec
        self.audio = torch.zeros(2, spec.fft_size - spec.hop_samples, device=device)
        self.energy = torch.zeros(spec.fft_size - spec.hop_samples, device=device)
        self.skip = spec.edge_samples

    def push(self, spectrum: Complex[Tensor, "2 bins frames"]) -> Float[Tensor, "2 samples"]:
        """Samples that no later frame reaches."""
        samples, energy = overlap_add(spectrum, spec=self.spec)
        samples[:, : self.audio.shape[-1]] += self.audio
        energy[: len(self.energy)] += self.energy
        ready = spectrum.shape[-1] * self.spec.hop_samples
        self.audio, self.energy = samples[:, ready:], energy[ready:]
        whole = samples[:, :ready] / energy[:ready].clamp(min=LEAST_ENERGY)
        begin, self.skip = min(self.skip, ready), max(0, self.skip - ready)
        return whole[:, begin:]

    def finish(self) -> Float[Tensor, "2 samples"]:
        """The rest, once all frames are there."""
        rest = self.audio / self.energy.clamp(min=LEAST_ENERGY)
        return rest[:, self.skip : rest.shape[-1] - self.spec.edge_samples]


class BinPredictions(NamedTuple):
    """What the network says of every bin of every frame, all (batch, ..., bins, frames).

    Attributes:
        log_magnitude: Natural logarithm of the magnitude, one a channel: (batch, channels, bins, frames).
        carry: Complex factors on the phasors of the frame before, at the bin below, the bin itself and the bin above:
            (batch, 3, tonal bins, frames).
        fresh: Complex phasor that needs no past, as an onset has it: (batch, tonal bins, frames).
        spread: Expected phasor of left over right; its length is their coherence:
            (batch, tonal bins, frames).
    """

    log_magnitude: Tensor
    carry: Tensor
    fresh: Tensor
    spread: Tensor

    def frames(self, wanted: slice) -> BinPredictions:
        """The predictions of some frames only."""
        return BinPredictions(*(part[..., wanted] for part in self))


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
    """Stereo log-mel spectrogram in, stereo audio out, both channels in one pass.

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
    ) -> None:
        super().__init__()
        self.spec = MelSpec(sample_rate_hz, fft_size, hop_samples, bands)
        self.tonal_bins = tonal_bins
        self.bins = fft_size // 2 + 1
        self.reach_frames = (blocks + 1) * (kernel_frames // 2)
        """Frames on either side that can change the predictions for a frame."""
        self.enter = nn.Conv1d(2 * bands, width, kernel_frames, padding=kernel_frames // 2)
        self.enter_norm = nn.LayerNorm(width, eps=1e-6)
        self.stack = nn.ModuleList(
            ConvNeXtBlock(width, hidden, kernel_frames=kernel_frames, scale=1 / blocks) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.gain = nn.Linear(width, 2 * self.bins)
        self.phasors = nn.Linear(width, 2 * 5 * tonal_bins)
        self.register_buffer("interpolate", mel_inverse(self.spec), persistent=False)
        self.register_buffer(
            "turns", torch.view_as_real(centre_turns(tonal_bins, self.spec)), persistent=False
        )
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        nn.init.normal_(self.phasors.weight, std=0.002)
        nn.init.zeros_(self.phasors.bias)

    def predict(self, log_mel: Float[Tensor, "batch 2 bands frames"]) -> BinPredictions:
        """Magnitudes, phase advances and coherence of every bin."""
        batch, _, _, frames = log_mel.shape
        features = self.enter(((log_mel - LOG_MEL_CENTRE) / LOG_MEL_SCALE).flatten(1, 2))
        features = self.enter_norm(features.transpose(1, 2)).transpose(1, 2)
        for block in self.stack:
            features = block(features)
        features = self.norm(features.transpose(1, 2))
        gain = self.gain(features).float().view(batch, frames, 2, self.bins).permute(0, 2, 3, 1)
        envelope = (self.interpolate @ log_mel.float().exp()).clamp(min=1e-7)
        phasors = (
            self.phasors(features).float().view(batch, frames, 5, self.tonal_bins, 2).permute(0, 2, 3, 1, 4)
        )
        phasors = torch.view_as_complex(phasors.contiguous())
        return BinPredictions(
            envelope.log() + LOG_GAIN_LIMIT * torch.tanh(gain / LOG_GAIN_LIMIT),
            phasors[:, :3] * torch.view_as_complex(self.turns)[:, None],
            phasors[:, 3],
            phasors[:, 4],
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
        """Complex spectrogram (batch, 2, bins, frames).

        Args:
            predictions: Of the frames.
            phasors: Unit phasors (batch, tonal bins, frames) of the sum of both channels.
            start_frame: Position of the first frame in the piece, on which the random parts depend.
        """
        magnitude = predictions.log_magnitude.exp()
        frames = magnitude.shape[-1]
        tonal, rest = magnitude.split([self.tonal_bins, self.bins - self.tonal_bins], 2)
        scatter = position_walk(self.tonal_bins, start_frame, frames, purpose="scatter").to(magnitude.device)
        coherence = predictions.spread.abs().clamp(1e-3, 1 - 1e-4)
        difference = predictions.spread.angle() + (-2 * coherence.log()).sqrt() * scatter
        # The louder channel dominates the phase of the sum, so the softer one takes more of the difference.
        share = tonal / tonal.sum(1, keepdim=True)
        angles = torch.stack([difference * share[:, 1], -difference * share[:, 0]], 1)
        tonal = tonal * phasors[:, None] * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([tonal, rest * self._noise_phasors(start_frame, frames).to(rest.device)], 2)

    def _noise_phasors(self, start_frame: int, frames: int) -> Tensor:
        """Phasors (2, bins, frames) of the bins above the tonal ones: turning at their centre, and wandering."""
        bins = torch.arange(self.tonal_bins, self.bins)
        positions = torch.arange(start_frame, start_frame + frames)
        turns = (bins[:, None] * positions) % (self.spec.fft_size // self.spec.hop_samples)
        turn = turns * (2 * math.pi * self.spec.hop_samples / self.spec.fft_size)
        count = len(bins)
        middle = position_walk(count, start_frame, frames, purpose="middle")
        side = position_walk(count, start_frame, frames, purpose="side")
        angles = turn + math.pi * torch.stack([middle + NOISE_WIDTH * side, middle - NOISE_WIDTH * side])
        return torch.polar(torch.ones_like(angles), angles)

    def forward(self, log_mel: Float[Tensor, "batch 2 bands frames"]) -> Float[Tensor, "batch 2 samples"]:
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


def position_walk(bins: int, start_frame: int, frames: int, *, purpose: str) -> Float[Tensor, "bins frames"]:
    """Unit-variance noise, smooth in time, that depends on the position in the piece and the purpose alone.

    Independent normal values every `KNOT_FRAMES`, blended with cosine weights whose squares sum to one.
    """
    first, offset = divmod(start_frame, KNOT_FRAMES)
    knots = range(first, first + (offset + frames) // KNOT_FRAMES + 2)
    seeds = [zlib.crc32(f"{purpose}/{knot}".encode()) for knot in knots]
    values = torch.stack(
        [torch.randn(bins, generator=torch.Generator().manual_seed(seed)) for seed in seeds], 1
    )
    places = (torch.arange(frames) + offset) / KNOT_FRAMES
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
        self.mel = torch.zeros(2, spec.bands, 0, device=vocoder.device)
        self.first, self.done = 0, 0
        self.phasors: Tensor | None = None
        self.overlap = OverlapAdd(spec, vocoder.device)

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
