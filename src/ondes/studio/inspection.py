"""What a file is: its kind, its length, and what is wrong with it. Uploads are read in a child process alone.

See `ondes.studio.readers`, which runs `inspect` there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ondes.errors import UserError
from ondes.studio.media import ZIP, is_score

CONTAINERS = {
    **dict.fromkeys(("WAV", "WAVEX", "RF64"), ".wav"),
    **{"FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3", "MPEG": ".mp3", "AIFF": ".aiff"},
}
"""Suffixes of the containers that are taken, by libsndfile's names."""

BLOCK_FRAMES = 65536
MOST_CHANNELS = 8
HIGHEST_RATE_HZ = 384_000
LEAST_AUDIO_S = 0.01


@dataclass(frozen=True)
class Description:
    """What a file holds.

    Attributes:
        kind: "score" or "audio".
        suffix: Of its name on disk.
        duration_s: Its length.
        notes: Of a score.
        sample_rate_hz: Of audio.
        channels: Of audio.
        report: What had to be repaired.
    """

    kind: str
    suffix: str
    duration_s: float
    notes: int | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    report: str = ""


def inspect(path: str, name: str, *, audio_s: float, notes: int) -> dict[str, Any]:
    """Read an upload to its end.

    Args:
        path: Where it is.
        name: What messages call it.
        audio_s: Longest audio that is taken; a score that lasts longer is, since none may ever play it.
        notes: Most notes that are.

    Returns:
        The fields of its `Description`.

    Raises:
        UserError: If it is no score and no audio, damaged, or exceeds a limit.
    """
    with Path(path).open("rb") as file:
        head = file.read(64)
    if not head:
        raise UserError(f"{name} is empty; give a MIDI, MusicXML or audio file")
    if is_score(head, name):
        return asdict(describe_score(path, name, most_notes=notes))
    return asdict(_checked_audio(path, name, audio_s))


def describe_score(path: str, name: str, *, most_notes: int | None = None) -> Description:
    """What a score holds.

    Raises:
        UserError: If it cannot be read, or has no notes or too many.
    """
    from ondes.score import read_score_with_report, to_notes  # noqa: PLC0415

    score, report = read_score_with_report(path)
    notes = to_notes(score)
    if len(notes) == 0:
        raise UserError(f"{name} holds no notes; give a score with some")
    if most_notes is not None and len(notes) > most_notes:
        raise UserError(f"{name} has {len(notes)} notes; {most_notes} are allowed, so split it")
    with Path(path).open("rb") as file:
        head = file.read(4)
    xml = ".mxl" if head == ZIP else ".musicxml"
    suffix = ".mid" if head in {b"MThd", b"RIFF"} or not is_score(head, "") else xml
    return Description(
        "score", suffix, notes.duration_s, notes=len(notes), report=str(report) if report else ""
    )


def describe_audio(path: str) -> Description:
    """What the head of an audio file says it holds, which is believed of our own files alone."""
    import soundfile  # noqa: PLC0415

    found = soundfile.info(path)
    suffix = CONTAINERS.get(found.format, "")
    return Description(
        "audio", suffix, found.duration, sample_rate_hz=found.samplerate, channels=found.channels
    )


def _checked_audio(path: str, name: str, most_s: float) -> Description:
    """What an audio file holds, block after block, so that no head that lies costs memory."""
    import soundfile  # noqa: PLC0415

    allowed = "give .wav, .flac, .ogg or .mp3, or a score as .mid or .musicxml"
    try:
        with soundfile.SoundFile(path) as sound:
            if sound.format not in CONTAINERS:
                raise UserError(f"{name} is audio in the container {sound.format}; {allowed}")
            if sound.channels > MOST_CHANNELS or not 0 < sound.samplerate <= HIGHEST_RATE_HZ:
                raise UserError(
                    f"{name} has {sound.channels} channels at {sound.samplerate} Hz; "
                    f"at most {MOST_CHANNELS} at {HIGHEST_RATE_HZ} Hz are allowed"
                )
            frames = _frames(sound, name, most_s)
            suffix, rate_hz, channels = CONTAINERS[sound.format], sound.samplerate, sound.channels
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise UserError(
            f"{name} is neither a score nor audio that can be read ({error}); {allowed}"
        ) from None
    if frames < LEAST_AUDIO_S * rate_hz:
        raise UserError(f"{name} holds {frames} samples; give audio of {LEAST_AUDIO_S} s or more")
    return Description("audio", suffix, frames / rate_hz, sample_rate_hz=rate_hz, channels=channels)


def _frames(sound: Any, name: str, most_s: float) -> int:
    """How many frames can be decoded, all of them numbers and not too many."""
    frames = 0
    while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += len(block)
        if frames > most_s * sound.samplerate:
            raise UserError(f"{name} is longer than {most_s:g} s, which is the longest audio allowed; cut it")
        if not np.isfinite(block).all():
            raise UserError(f"{name} holds samples that are NaN or infinite; export it again")
    return frames
