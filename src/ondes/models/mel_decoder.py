"""Vocoders of Spectrogram Diffusion: 16 kHz mono audio from log-mels with 50 frames a second, time before bands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub import hf_hub_download
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.overlap_add import LEAST_ENERGY
from ondes.representations.framed_mel import OFFICIAL, FramedMelSpec, framed_mel_inverse

ONNX_FILE = "model.onnx"
INPUT = "input_features"
"""Name of the input of the published decoder."""

BLOCK_FRAMES = 256
MARGIN_FRAMES = 16
"""Griffin-Lim reconstructs a block with this much of the next one in sight."""


class BlockStream:
    """Decodes in blocks at fixed places of the piece, each with some frames around it that are then dropped.

    Any pieces give the very samples of the whole. They are those of one call for the whole as far as the decoder
    reaches no further than the margin; beyond that, and where a decoder normalises over time, they differ.

    Args:
        decode: Frames (frames, bands) to frames * hop samples.
        margin_frames: Frames on either side that a block is decoded with.
        block_frames: Frames of a block.
        hop_samples: Samples of a frame.
    """

    def __init__(
        self, decode: Callable[[Tensor], Tensor], *, margin_frames: int, block_frames: int, hop_samples: int
    ) -> None:
        self.decode = decode
        self.margin, self.block, self.hop = margin_frames, block_frames, hop_samples
        self.waiting: Tensor | None = None
        self.before = 0
        """Frames at the beginning of what waits that are decoded already."""

    def push(
        self, log_mel: Float[Tensor, "frames bands"], *, last: bool = False
    ) -> Float[Tensor, " samples"]:
        """The samples that are certain now.

        Args:
            log_mel: The next frames.
            last: No more will come; the rest is given out.
        """
        self.waiting = log_mel if self.waiting is None else torch.cat([self.waiting, log_mel])
        out = [log_mel.new_zeros(0)]
        while len(self.waiting) - self.before >= self.block + self.margin:
            out.append(self._next(self.block))
        while last and len(self.waiting) > self.before:
            out.append(self._next(min(self.block, len(self.waiting) - self.before)))
        return torch.cat(out)

    def _next(self, frames: int) -> Tensor:
        assert self.waiting is not None
        stop = self.before + frames
        samples = self.decode(self.waiting[: stop + self.margin])[self.before * self.hop : stop * self.hop]
        dropped = max(0, stop - self.margin)
        self.waiting, self.before = self.waiting[dropped:], stop - dropped
        return samples


class OnnxMelDecoder(ModelMixin, ConfigMixin):
    """A decoder as ONNX: one input `input_features` (1, frames, bands), one output (1, frames * hop samples).

    The published one, `kashif/soundstream_mel_decoder`, is the GAN inverter of the paper. It runs on the CPU.

    Args:
        file: The ONNX file.
        hop_samples: Samples of a frame.
        sample_rate_hz: Rate of the audio.
        margin_frames: Frames around a block when the decoder streams. The blocks of a stream equal one call for the
            whole as far as the network reaches no further.

    Raises:
        UserError: If the file cannot be read, or has another input.
    """

    config_name = "config.json"

    def __init__(
        self,
        file: str | Path,
        hop_samples: int = OFFICIAL.hop_samples,
        sample_rate_hz: int = OFFICIAL.sample_rate_hz,
        margin_frames: int = 64,
    ) -> None:
        super().__init__()
        self.file = Path(file)
        self.hop_samples = hop_samples
        self.session = _open(self.file)
        self.register_to_config(
            hop_samples=hop_samples,
            sample_rate_hz=sample_rate_hz,
            margin_frames=margin_frames,
            sha256=file_sha256(self.file),
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **_: Any) -> OnnxMelDecoder:
        """A decoder from an ONNX file, a folder with `model.onnx` in it, or a Hub id.

        Raises:
            UserError: If there is none, or it cannot be read.
        """
        file = find_onnx(pretrained_model_name_or_path)
        settings: dict[str, Any] = {}
        if file.with_name(cls.config_name).is_file():
            found = cls.load_config(str(file.parent))
            known = ("hop_samples", "sample_rate_hz", "margin_frames")
            settings = {name: found[name] for name in known if name in found}
        return cls(file, **settings)

    def save_pretrained(self, save_directory: str | Path, **_: Any) -> None:
        """Copy the ONNX file, and write the settings beside it."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        if self.file.resolve() != (folder / ONNX_FILE).resolve():
            shutil.copyfile(self.file, folder / ONNX_FILE)
        self.save_config(str(folder))

    @property
    def device(self) -> torch.device:
        """Where frames are taken from."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Of the frames."""
        return torch.float32

    def forward(self, log_mel: Float[Tensor, "frames bands"]) -> Float[Tensor, " samples"]:
        """Audio of an unscaled log-mel in one call.

        Raises:
            UserError: If the decoder cannot take these frames, or gives another number of samples.
        """
        features = log_mel.detach().cpu().float().numpy()[None]
        try:
            (samples, *_) = self.session.run(None, {INPUT: np.ascontiguousarray(features)})
        except Exception as error:  # onnxruntime's own errors have no public class
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.file} cannot decode a log-mel {features.shape[1:]}: {reason}") from error
        flat = torch.from_numpy(np.asarray(samples, np.float32)).flatten()
        if len(flat) != len(log_mel) * self.hop_samples:
            raise UserError(
                f"{self.file} makes {len(flat)} samples of {len(log_mel)} frames; "
                f"{self.hop_samples} a frame are needed: give a decoder for this layout"
            )
        return flat

    def stream(self) -> BlockStream:
        """A decoder of one log-mel that arrives in pieces."""
        margin = int(self.config["margin_frames"])
        return BlockStream(
            self, margin_frames=margin, block_frames=BLOCK_FRAMES, hop_samples=self.hop_samples
        )


def find_onnx(place: str | Path) -> Path:
    """The ONNX file of a path, a folder or a Hub id.

    Raises:
        UserError: If there is none.
    """
    path = Path(place)
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / ONNX_FILE).is_file():
            raise UserError(f"{path} holds no {ONNX_FILE}; give the folder or the file of a mel decoder")
        return path / ONNX_FILE
    if str(place).count("/") != 1 or str(place).startswith((".", "/", "~")):
        raise UserError(
            f"there is no mel decoder {str(place)!r}; give an ONNX file, a folder with {ONNX_FILE}, or a Hub id"
        )
    try:
        return Path(hf_hub_download(str(place), ONNX_FILE))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"cannot fetch {ONNX_FILE} of {place} from the Hub: {reason}") from error


def _open(file: Path) -> Any:
    """An onnxruntime session with the input that mel decoders have."""
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        raise UserError("ONNX decoders need onnxruntime: pip install 'ondes[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no public class
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file} cannot be read as ONNX: {reason}") from error
    names = [node.name for node in session.get_inputs()]
    if names != [INPUT]:
        raise UserError(f"{file} has the inputs {', '.join(names)}; a mel decoder has one, {INPUT}")
    return session


class FramedGriffinLim(ModelMixin, ConfigMixin):
    """Fast Griffin-Lim (Perraudin et al. 2013) at the 16 kHz layout: hears a model without any vocoder weights.

    The phases begin at random from a fixed seed, so the result is always the same.

    Args:
        iterations: How often the phases are made consistent.
        momentum: 0 is the original algorithm; 0.99 is what the paper recommends.
        seed: Of the first phases.
    """

    config_name = "config.json"
    interpolate: Tensor

    @register_to_config
    def __init__(self, iterations: int = 32, momentum: float = 0.99, seed: int = 0) -> None:
        super().__init__()
        self.spec = OFFICIAL
        # Saved, although it follows from the settings: a model without any weights cannot be loaded again.
        self.register_buffer("interpolate", framed_mel_inverse(self.spec))

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.interpolate.device

    def forward(self, log_mel: Float[Tensor, "frames bands"]) -> Float[Tensor, " samples"]:
        """Audio of an unscaled log-mel: frames * hop samples."""
        return self.stream().push(log_mel, last=True)

    def stream(self) -> FramedGriffinLimStream:
        """A decoder of one log-mel that arrives in pieces."""
        return FramedGriffinLimStream(self)

    def phases(self, magnitude: Tensor, angles: Tensor, fixed: int) -> Tensor:
        """Unit phasors (frames, bins) consistent with the magnitudes.

        Args:
            magnitude: (frames, bins).
            angles: First phasors.
            fixed: Frames at the beginning that keep theirs.
        """
        momentum = float(self.config["momentum"])
        before = torch.zeros_like(angles)
        for _ in range(int(self.config["iterations"])):
            audio, energy = overlap_framed(magnitude * angles, self.spec)
            rebuilt = framed_transform(audio / energy.clamp(min=LEAST_ENERGY), self.spec)
            ahead = rebuilt - momentum / (1 + momentum) * before
            before = rebuilt
            moved = ahead / ahead.abs().clamp(min=1e-9)
            angles = torch.cat([angles[:fixed], moved[fixed:]])
        return angles


class FramedGriffinLimStream:
    """Decodes in blocks at fixed places; each begins with the phases the one before ended with.

    Args:
        decoder: The settings.
    """

    def __init__(self, decoder: FramedGriffinLim) -> None:
        self.decoder = decoder
        self.spec = decoder.spec
        self.mel = torch.zeros(0, self.spec.bands, device=decoder.device)
        self.before: Tensor | None = None
        self.generator = torch.Generator().manual_seed(int(decoder.config["seed"]))
        tail = self.spec.window_samples - self.spec.hop_samples
        self.audio, self.energy = torch.zeros(2, tail, device=decoder.device)

    @torch.no_grad()
    def push(
        self, log_mel: Float[Tensor, "frames bands"], *, last: bool = False
    ) -> Float[Tensor, " samples"]:
        """The samples that are certain now; the very samples of the whole, however the frames arrive."""
        self.mel = torch.cat([self.mel, log_mel.to(self.mel)])
        out = [self.mel.new_zeros(0)]
        while self._left() >= BLOCK_FRAMES + MARGIN_FRAMES:
            out.append(self._block(BLOCK_FRAMES, MARGIN_FRAMES))
        if last and self._left() > 0:
            out.append(self._block(self._left(), 0))
        return torch.cat(out)

    def _left(self) -> int:
        return len(self.mel) - self._known()

    def _known(self) -> int:
        return 0 if self.before is None else len(self.before)

    def _block(self, frames: int, margin: int) -> Tensor:
        """Samples of the next frames; a few known frames come before them and `margin` unknown ones after."""
        known = self._known()
        magnitude = self.mel[: known + frames + margin].exp() @ self.decoder.interpolate.T
        shape = (frames + margin, magnitude.shape[1])
        turns = torch.rand(shape, generator=self.generator) * 2 * torch.pi
        fresh = torch.polar(torch.ones(shape), turns).to(magnitude.device)
        first = fresh if self.before is None else torch.cat([self.before, fresh])
        angles = self.decoder.phases(magnitude, first, known)
        made = slice(known, known + frames)
        kept = min(MARGIN_FRAMES, frames)
        self.before = angles[known + frames - kept : known + frames]
        self.mel = self.mel[known + frames - kept :]
        return self._join(magnitude[made] * angles[made])

    def _join(self, spectrum: Complex[Tensor, "frames bins"]) -> Tensor:
        """Samples that no later frame reaches."""
        audio, energy = overlap_framed(spectrum, self.spec)
        tail = len(self.audio)
        audio[:tail] += self.audio
        energy[:tail] += self.energy
        ready = len(spectrum) * self.spec.hop_samples
        self.audio, self.energy = audio[ready:], energy[ready:]
        return audio[:ready] / energy[:ready].clamp(min=LEAST_ENERGY)


def framed_transform(
    samples: Float[Tensor, " samples"], spec: FramedMelSpec
) -> Complex[Tensor, "frames bins"]:
    """Short-time Fourier transform in the official framing; only frames that are whole."""
    frames = samples.unfold(0, spec.window_samples, spec.hop_samples)
    window = torch.hann_window(spec.window_samples, device=samples.device)
    return torch.fft.rfft(frames * window, n=spec.fft_size)


def overlap_framed(
    spectrum: Complex[Tensor, "frames bins"], spec: FramedMelSpec
) -> tuple[Float[Tensor, " samples"], Float[Tensor, " samples"]]:
    """Windowed frames added up, and the window's energy there: their quotient is the inverse transform.

    Least squares over overlapping frames (Griffin and Lim 1984, equation 6).
    """
    window = torch.hann_window(spec.window_samples, device=spectrum.device)
    pieces = torch.fft.irfft(spectrum, n=spec.fft_size)[:, : spec.window_samples] * window
    length = (len(spectrum) - 1) * spec.hop_samples + spec.window_samples
    columns = torch.stack([pieces, window.square().expand_as(pieces)]).transpose(1, 2)
    added = functional.fold(
        columns,
        output_size=(1, length),
        kernel_size=(1, spec.window_samples),
        stride=(1, spec.hop_samples),
    )
    return added[0].flatten(), added[1].flatten()
