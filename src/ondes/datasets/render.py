"""Scores played by a SoundFont: the audio that the synthesiser learns from and is measured against.

Two players do the work. midirenderer (rustysynth inside) comes from PyPI and reads SF2; FluidSynth is a
program of the system and reads SF2 and SF3. What they are given is made from `Notes`, so pedals, tempo,
volume, pan and bend mean in a render exactly what they mean to a model, and both play the same.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import shutil
import subprocess
import tempfile
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ondes.audio import Audio
from ondes.datasets.channels import Layer, to_layers, to_midi_file
from ondes.errors import UserError, nearest
from ondes.files import file_sha256
from ondes.score import Notes, to_notes

if TYPE_CHECKING:
    from symusic.core import ScoreTick

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 44100

BACKENDS = ("auto", "midirenderer", "fluidsynth")

REVERB_SENDS = {"dry": 0, "light": 40}
"""CC91. 40 is what General MIDI players take when a file says nothing."""

VOLUME_DIVISORS = (1, 2, 4, 8)
"""CC7 is divided by these, one after another, until a 16-bit player does not clip: 0, 12, 24, 36 dB less."""

MIDIRENDERER_RATE_HZ = 48000
MIDIRENDERER_POLYPHONY = 24
"""rustysynth has 64 voices and steals beyond them; most presets of a General MIDI bank take two a note."""

MIDIRENDERER_DELAY_SAMPLES = 32
"""Events take effect at blocks of 64 samples, so the average delay is half a block (0.7 ms)."""

FLUIDSYNTH_GAIN = 0.426
"""Brings FluidSynth to midirenderer's level: at gain 0.2 the ratio's median over nine programs is 2.13."""

FLUIDSYNTH_DELAY_SAMPLES = 115
"""Mean delay of 30 hi-hat onsets is 1.94 ms beyond midirenderer's, whose half block is added."""

FLUIDSYNTH_ROOM = 0.35
"""With level 1, a hall that dies away as midirenderer's does: 10 dB under the sound at once, 33 dB after 0.8 s."""

FLUIDSYNTH_POLYPHONY = 2000

SOUNDFONT_FOLDERS = (
    "~/.local/share/sounds/sf2",
    "~/.local/share/soundfonts",
    "/usr/local/share/sounds/sf2",
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
    "/usr/share/sounds/sf3",
)
SOUNDFONT_NAMES = ("FluidR3_GM.sf2", "default-GM.sf2", "default.sf2", "*.sf2", "*.sf3")


class NotFiniteError(UserError):
    """A player made NaN or infinity."""


@runtime_checkable
class Renderer(Protocol):
    """Plays scores with one SoundFont."""

    soundfont: Path
    tail_s: float

    @property
    def soundfont_hash(self) -> str:
        """SHA-256 of the SoundFont file, hexadecimal."""
        ...

    def render(self, score: ScoreTick | Notes, *, reverb: str = "dry") -> Audio:
        """The sound of a score: 44.1 kHz, stereo, as long as its notes plus `tail_s`, never clipped.

        The level is midirenderer's at CC7 = 100 with its own gain: a single piano note at velocity 100 peaks
        near 0.09 and a full band near 0.7, but nothing stops a loud score from exceeding 1. `dry` switches
        reverb and chorus off; `light` sends 40 of 127 to the player's hall. Note starts stand within 5 ms of
        their time.

        Raises:
            UserError: If the player fails.
        """
        ...


class MidirendererRenderer:
    """Renders with the `midirenderer` package, which makes 48 kHz, 16-bit audio.

    Scores beyond its polyphony are played in passes and added. A pass that reaches full scale is repeated
    more softly, and the result multiplied back, so nothing is clipped; 16 bits leave noise near -98 dB.

    Args:
        soundfont: An SF2 file.
        tail_s: How long the audio goes on after the end of the score.
    """

    def __init__(self, soundfont: Path, *, tail_s: float = 2.0) -> None:
        if importlib.util.find_spec("midirenderer") is None:
            raise UserError(
                "the renderer midirenderer is not installed; pip install 'ondes[train]' or use fluidsynth"
            )
        if is_compressed(soundfont):
            raise UserError(
                f"{soundfont} is an SF3 file, which midirenderer cannot read; use the fluidsynth backend"
            )
        self.soundfont = soundfont
        self.tail_s = tail_s

    @property
    def soundfont_hash(self) -> str:
        """SHA-256 of the SoundFont file, hexadecimal."""
        return _cached_hash(self.soundfont)

    @cached_property
    def _bytes(self) -> bytes:
        return self.soundfont.read_bytes()

    def render(self, score: ScoreTick | Notes, *, reverb: str = "dry") -> Audio:
        """See `Renderer.render`."""
        send = _reverb_send(reverb)
        notes = _notes(score)
        mix = _silence(notes, self.tail_s)
        for layer in to_layers(notes, polyphony=MIDIRENDERER_POLYPHONY):
            _add(mix, self._unclipped(notes, layer, mix.shape[1] / SAMPLE_RATE_HZ, send))
        return _finite(mix, self.soundfont)

    def _unclipped(self, notes: Notes, layer: Layer, duration_s: float, send: int) -> NDArray[np.float32]:
        import soxr  # noqa: PLC0415

        divisor = VOLUME_DIVISORS[0]
        for divisor in VOLUME_DIVISORS:
            midi = to_midi_file(
                notes, layer, duration_s=duration_s + 0.1, volume_divisor=divisor, reverb_send=send
            )
            samples = self._play(midi)
            if np.abs(samples).max(initial=0.0) < 32767 / 32768:
                break
        samples = soxr.resample(samples[MIDIRENDERER_DELAY_SAMPLES:], MIDIRENDERER_RATE_HZ, SAMPLE_RATE_HZ)
        return samples.T * np.float32(divisor**2)

    def _play(self, midi: bytes) -> NDArray[np.float32]:
        """Samples (time, 2) at 48 kHz."""
        import midirenderer  # noqa: PLC0415
        import soundfile  # noqa: PLC0415

        try:
            wave = midirenderer.render_wave_from(self._bytes, midi)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            raise UserError(
                f"midirenderer cannot play with {self.soundfont} ({str(error).splitlines()[0]}); "
                "give another SoundFont or use the fluidsynth backend"
            ) from None
        samples, _ = soundfile.read(io.BytesIO(wave), dtype="float32", always_2d=True)
        return np.asarray(samples, np.float32)


class FluidsynthRenderer:
    """Renders with the `fluidsynth` program, in floating point.

    Args:
        soundfont: An SF2 or SF3 file.
        tail_s: How long the audio goes on after the end of the score.
    """

    def __init__(self, soundfont: Path, *, tail_s: float = 2.0) -> None:
        program = shutil.which("fluidsynth")
        if program is None:
            raise UserError(
                "the program fluidsynth is not installed; "
                "install Debian's package fluidsynth or use midirenderer"
            )
        self.soundfont = soundfont
        self.tail_s = tail_s
        self._program = program

    @property
    def soundfont_hash(self) -> str:
        """SHA-256 of the SoundFont file, hexadecimal."""
        return _cached_hash(self.soundfont)

    def render(self, score: ScoreTick | Notes, *, reverb: str = "dry") -> Audio:
        """See `Renderer.render`."""
        send = _reverb_send(reverb)
        notes = _notes(score)
        mix = _silence(notes, self.tail_s)
        duration_s = mix.shape[1] / SAMPLE_RATE_HZ
        for layer in to_layers(notes, polyphony=FLUIDSYNTH_POLYPHONY):
            midi = to_midi_file(notes, layer, duration_s=duration_s + 0.1, reverb_send=send)
            _add(mix, self._play(midi, reverb).T[:, FLUIDSYNTH_DELAY_SAMPLES:])
        return _finite(mix, self.soundfont)

    def _play(self, midi: bytes, reverb: str) -> NDArray[np.float32]:
        """Samples (time, 2) at 44.1 kHz."""
        import soundfile  # noqa: PLC0415

        with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
            score, wave = Path(folder, "score.mid"), Path(folder, "audio.wav")
            score.write_bytes(midi)
            done = subprocess.run(
                [*self._command(reverb), "-F", str(wave), str(self.soundfont.resolve()), str(score)],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode or not wave.exists() or "Failed to load SoundFont" in done.stderr:
                said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
                raise UserError(
                    f"fluidsynth cannot play with {self.soundfont} ({said}); give another SoundFont"
                )
            samples, _ = soundfile.read(wave, dtype="float32", always_2d=True)
            return np.asarray(samples, np.float32)

    def _command(self, reverb: str) -> list[str]:
        settings = {
            "synth.default-soundfont": os.devnull,  # else a broken one is silently replaced
            "synth.polyphony": 4096,
            "synth.reverb.active": int(reverb != "dry"),
            "synth.chorus.active": 0,
            "synth.reverb.room-size": FLUIDSYNTH_ROOM,
            "synth.reverb.level": 1.0,
        }
        command = [self._program, "-ni", "-q", "-f", os.devnull, "-r", str(SAMPLE_RATE_HZ), "-O", "float"]
        command += ["-T", "wav", "-g", str(FLUIDSYNTH_GAIN)]
        return command + [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def open_renderer(soundfont: Path | str, backend: str = "auto", *, tail_s: float = 2.0) -> Renderer:
    """A player for a SoundFont.

    Args:
        soundfont: An SF2 file, or an SF3 file for FluidSynth.
        backend: `midirenderer`, `fluidsynth`, or `auto`: midirenderer where it is installed and can read the
            file.
        tail_s: How long renders go on after the end of the score.

    Raises:
        UserError: If the file is missing or no SoundFont, or the player is not installed or cannot read it.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown renderer {backend!r}; {nearest(backend, BACKENDS)}")
    soundfont = Path(soundfont)
    compressed = is_compressed(soundfont)
    if backend == "auto":
        usable = importlib.util.find_spec("midirenderer") is not None and not compressed
        backend = "midirenderer" if usable else "fluidsynth"
    kind = MidirendererRenderer if backend == "midirenderer" else FluidsynthRenderer
    return kind(soundfont, tail_s=tail_s)


def find_soundfont() -> Path:
    """The SoundFont in `ONDES_SOUNDFONT`, or else the first one in the places where systems keep them.

    Raises:
        UserError: If there is none.
    """
    named = os.environ.get("ONDES_SOUNDFONT")
    if named:
        is_compressed(Path(named))
        return Path(named)
    for name in SOUNDFONT_NAMES:
        for folder in SOUNDFONT_FOLDERS:
            for path in sorted(Path(folder).expanduser().glob(name)):
                if path.is_file():
                    return path
    raise UserError(
        "no SoundFont found; install Debian's package fluid-soundfont-gm, "
        "pass --soundfont FILE or set ONDES_SOUNDFONT"
    )


def is_compressed(soundfont: Path) -> bool:
    """Whether a SoundFont holds compressed samples (SF3), which only FluidSynth reads.

    The version is in the INFO list's `ifil` chunk, among the first bytes.

    Raises:
        UserError: If the file is missing or is no SoundFont.
    """
    if not soundfont.is_file():
        what = "is a folder" if soundfont.is_dir() else "does not exist"
        raise UserError(f"the SoundFont {soundfont} {what}; give an .sf2 or .sf3 file")
    try:
        with soundfont.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise UserError(f"the SoundFont {soundfont} cannot be read ({error.strerror})") from None
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise UserError(f"{soundfont} is not a SoundFont; give an .sf2 or .sf3 file")
    where = head.find(b"ifil")
    return where >= 0 and int.from_bytes(head[where + 8 : where + 10], "little") >= 3


@cache
def _cached_hash(soundfont: Path) -> str:
    return file_sha256(soundfont)


def _notes(score: ScoreTick | Notes) -> Notes:
    return score if isinstance(score, Notes) else to_notes(score)


def _reverb_send(reverb: str) -> int:
    if reverb not in REVERB_SENDS:
        raise UserError(f"unknown reverb {reverb!r}; {nearest(reverb, REVERB_SENDS)}")
    return REVERB_SENDS[reverb]


def _silence(notes: Notes, tail_s: float) -> NDArray[np.float32]:
    return np.zeros((2, round((notes.duration_s + tail_s) * SAMPLE_RATE_HZ)), np.float32)


def _finite(mix: NDArray[np.float32], soundfont: Path) -> Audio:
    if not np.isfinite(mix).all():
        raise NotFiniteError(f"the render with {soundfont} holds NaN or infinity; give another SoundFont")
    return Audio(mix, SAMPLE_RATE_HZ)


def _add(mix: NDArray[np.float32], samples: NDArray[np.float32]) -> None:
    """Add in place what both have in common of time."""
    length = min(mix.shape[1], samples.shape[1])
    mix[:, :length] += samples[:, :length]
