"""New music by the audio model: windows one after another, vocoded as they come, in memory that does not grow."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.audio_windows import Meter, WindowMaker, frames_of, place_of
from ondes.pipelines.limiter import limited
from ondes.pipelines.loudness import LoudnessMeter
from ondes.representations.segments import Segment

BLOCK_SAMPLES = 1 << 18
"""Read back at once."""

MOST_OPENING_DB = 18.0
"""Music that begins more softly than this is meant to be soft."""


def new_mel(
    maker: WindowMaker, plan: Iterable[Segment], length_s: float, *, meter: Meter
) -> Iterator[Float[Tensor, "2 bands _"]]:
    """Log-mel of new music, window after window; the last may reach beyond the end.

    Args:
        maker: Makes the windows.
        plan: The windows, each of which knows the end of the one before.
        length_s: Of the piece.
        meter: Is told what is made.
    """
    network = maker.network
    rate = network.spec.frames_per_second
    before = torch.zeros(1, 2, network.spec.bands, 0, device=network.device)
    for segment in plan:
        values = torch.nn.functional.pad(
            before[..., before.shape[-1] - segment.known :], (0, segment.frames - segment.known)
        )
        known = torch.arange(segment.frames, device=network.device) < segment.known
        new_s = (segment.frames - segment.known) / rate

        def tell(share: float, new_s: float = new_s) -> None:
            meter.tell(share * new_s)

        place = place_of(segment, frames_per_second=rate, length_s=length_s)
        before = maker.make(place, values, known, tell=tell)
        meter.count(new_s)
        yield network.restore(before[0, ..., segment.known :]).cpu()


def voiced(vocoder: Any, pieces: Iterable[Tensor], frames: int) -> Iterator[Float[Tensor, "2 _"]]:
    """The sound of log-mel pieces that follow one another, of which only the first frames count."""
    stream = vocoder.stream()
    done = 0
    for piece in pieces:
        kept = piece[..., : frames - done]
        done += kept.shape[-1]
        yield stream.push(kept.to(vocoder.device), last=done >= frames).cpu().float()


def cut(blocks: Iterable[Tensor], samples: int) -> Iterator[Tensor]:
    """The first samples of a sound in blocks, without empty ones."""
    left = samples
    for block in blocks:
        kept = block[:, :left]
        left -= kept.shape[1]
        if kept.shape[1]:
            yield kept
        if not left:
            return


@dataclass(frozen=True)
class Level:
    """How loud new music is to be.

    Attributes:
        gain_db: How much louder it becomes where neither of the others is given.
        loudness_lufs: What the loudness of all of it becomes.
        opening_lufs: What that of its first block becomes, with one gain for all of it that differs from `gain_db` by
            `MOST_OPENING_DB` at most.
    """

    gain_db: float = 0.0
    loudness_lufs: float | None = None
    opening_lufs: float | None = None


def levelled(
    blocks: Iterable[Tensor], sample_rate_hz: int, *, level: Level, length_s: float
) -> Iterator[Audio]:
    """A sound in blocks with its level set and its peaks turned down.

    Args:
        blocks: The sound.
        sample_rate_hz: Its rate.
        level: What it is to be. For a loudness of the whole, all of the sound is first written to a temporary file.
        length_s: Its length, to find out whether there is room for that file.

    Raises:
        UserError: If there is not.
    """
    if level.loudness_lufs is None:
        for block in limited(_with_opening_at(level, blocks, sample_rate_hz)):
            yield Audio(block.numpy(), sample_rate_hz)
        return
    _check_disk(length_s, sample_rate_hz)
    meter = LoudnessMeter(sample_rate_hz)
    with tempfile.TemporaryFile() as file:
        channels = 2
        for block in blocks:
            channels = len(block)
            meter.push(block.numpy())
            file.write(block.numpy().T.tobytes())
        loudness = meter.lufs()
        gain = 10 ** ((level.loudness_lufs - loudness) / 20) if math.isfinite(loudness) else 1.0
        for block in limited(gain * block for block in _read_back(file, channels)):
            yield Audio(block.numpy(), sample_rate_hz)


def _with_opening_at(level: Level, blocks: Iterable[Tensor], sample_rate_hz: int) -> Iterator[Tensor]:
    """A sound with the gain that its first block says."""
    gain: float | None = None
    for block in blocks:
        if gain is None:
            gain = 10 ** (_opening_gain_db(level, block, sample_rate_hz) / 20)
        yield gain * block


def _opening_gain_db(level: Level, block: Tensor, sample_rate_hz: int) -> float:
    """The gain for a sound that begins like this; a block that is silent or too short to measure says nothing."""
    if level.opening_lufs is None:
        return level.gain_db
    meter = LoudnessMeter(sample_rate_hz)
    meter.push(block.numpy())
    loudness = meter.lufs()
    if not math.isfinite(loudness):
        return level.gain_db
    more = level.opening_lufs - loudness - level.gain_db
    return level.gain_db + max(-MOST_OPENING_DB, min(MOST_OPENING_DB, more))


def _read_back(file: IO[bytes], channels: int) -> Iterator[Tensor]:
    file.seek(0)
    while data := file.read(BLOCK_SAMPLES * channels * 4):
        yield torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, channels).T.copy())


def _check_disk(length_s: float, sample_rate_hz: int) -> None:
    folder = tempfile.gettempdir()
    needed, free = 8.0 * length_s * sample_rate_hz, shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"to set the loudness, {length_s:g} s of audio are kept in {folder}: {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free; free some space, or leave the loudness to the model"
        )


def checked_loudness(loudness_lufs: float | None) -> float | None:
    """A loudness to aim at.

    Raises:
        UserError: If no music is so loud or so soft.
    """
    if loudness_lufs is not None and not -60 <= loudness_lufs <= -5:
        raise UserError(f"a loudness of {loudness_lufs} LUFS: -60 to -5 is allowed, -23 to -14 is usual")
    return loudness_lufs


def stream_new(
    maker: WindowMaker,
    vocoder: Any,
    plan: Iterable[Segment],
    length_s: float,
    *,
    level: Level,
    meter: Meter,
) -> Iterator[Audio]:
    """Blocks of new music; see `AudioPipeline.stream`."""
    spec = maker.network.spec
    pieces = new_mel(maker, plan, length_s, meter=meter)
    samples = round(length_s * spec.sample_rate_hz)
    sound = cut(voiced(vocoder, pieces, frames_of(samples, spec.hop_samples)), samples)
    yield from levelled(sound, spec.sample_rate_hz, level=level, length_s=length_s)
