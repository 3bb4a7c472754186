"""How commands turn a score into files: shared by `synth`, `demo` and `replay`."""

from __future__ import annotations

import inspect
import itertools
import logging
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.cli.console import clock, complain, playing, say, waiting
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Output, Settings, Sidecar, Source, current_versions, is_sidecar, portable_name

if TYPE_CHECKING:
    import numpy as np

    from ondes.audio import Audio, AudioWriter
    from ondes.pipelines.opening import Player
    from ondes.score import Notes

DEFAULT_MODEL = "synth-small"
BUNDLED_PREFIX = "bundled:"
"""How a sidecar marks a score that comes with the package."""

MIX_FILE = "mix.wav"


def open_notes(score: Path) -> Notes:
    """Read a score, and say what had to be repaired.

    Raises:
        UserError: If it cannot be read as a score.
    """
    from ondes.score import read_score_with_report, to_notes  # noqa: PLC0415

    symbolic, report = read_score_with_report(score)
    if report:
        complain(f"{score}: {report}")
    return to_notes(symbolic)


def load_pipeline(
    model: str, threads: int | None, *, vocoder: str | None = None, int8: bool = False
) -> Player:
    """Load a model of any kind by bundled name, folder or Hub id, after telling torch how many threads it may use.

    Args:
        model: Its name.
        threads: Torch's choice where None.
        vocoder: Another than its own, by name or place.
        int8: Whether its linear layers are made 8-bit; what this changes is said.

    Raises:
        UserError: If there is no such model or vocoder, or its weights are damaged.
    """
    with waiting(f"Loading {model}"):
        from diffusers.utils import logging as diffusers_logging  # noqa: PLC0415

        from ondes.pipelines.opening import open_pipeline  # noqa: PLC0415

        diffusers_logging.set_verbosity(logging.CRITICAL)
        diffusers_logging.disable_progress_bar()
        use_threads(threads)
        pipeline = open_pipeline(model, vocoder=vocoder, int8=int8)
    if (error := getattr(pipeline, "int8_error", None)) is not None:
        say(f"8-bit linear layers change the network's answer to noise by {100 * error:.2f} %")
    return pipeline


def parse_interval(text: str) -> tuple[float, float]:
    """Two diffusion times in one word: `0.1-0.8`.

    Raises:
        UserError: If it is not two numbers from 0 to 1 that rise.
    """
    match = re.fullmatch(r"([\d.]+)-([\d.]+)", text.strip())
    try:
        low, high = (float(number) for number in match.groups()) if match else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if not 0 <= low <= high <= 1:
        raise UserError(
            f"{text!r} is no guidance interval; two rising times from 0 (music) to 1 (noise) are, as in 0.1-0.8"
        )
    return low, high


def choices(pipeline: Player, settings: Settings, *, verb: str = "stream") -> dict[str, Any]:
    """The settings as keyword arguments of one of the pipeline's verbs.

    Raises:
        UserError: If the model has no such verb, or no such setting.
    """
    play = getattr(pipeline, verb, None)
    if play is None:
        raise UserError("this model plays all parts of a score at once; leave out --stems")
    chosen = {
        "seed": settings.seed,
        "steps": settings.steps,
        "sampler": settings.sampler,
        "guidance_scale": settings.guidance_scale,
    }
    takers = inspect.signature(play).parameters.values()
    interval = settings.guidance_interval and parse_interval(settings.guidance_interval)
    for name, value in {
        "temperature": settings.temperature,
        "guidance_interval": interval,
        "continuation": settings.continuation,
    }.items():
        if value is None:
            continue
        if not any(taker.name == name or taker.kind is taker.VAR_KEYWORD for taker in takers):
            raise UserError(
                f"this model has no {name.replace('_', ' ')}; leave out --{name.replace('_', '-')}, "
                "or choose another --model"
            )
        chosen[name] = value
    return chosen


def play_to_file(pipeline: Player, notes: Notes, settings: Settings, path: Path, *, label: str) -> Output:
    """Play a score into an audio file, block after block, so that memory does not grow with its length."""
    chosen = choices(pipeline, settings)
    with timed() as elapsed_s, playing(label) as report:
        made = write_blocks(pipeline.stream(notes, progress=report, **chosen), path)
    say(speed_line(path.name, made.duration_s, elapsed_s()))
    return made


def write_blocks(blocks: Iterator[Audio], path: Path, *, encoding: str | None = None) -> Output:
    """Write blocks of audio to a file as they come, at least one.

    Args:
        blocks: Of one rate and number of channels.
        path: Its suffix says the format.
        encoding: As `AudioWriter` takes it.
    """
    samples = 0
    first = next(blocks)
    with writer_like(first, path, encoding=encoding) as writer:
        for block in itertools.chain([first], blocks):
            writer.write(block)
            samples += block.samples.shape[-1]
    duration_s = samples / first.sample_rate_hz
    return Output(path.name, file_sha256(path), first.sample_rate_hz, first.channels, duration_s)


def play_to_stems(pipeline: Player, notes: Notes, settings: Settings, folder: Path, *, label: str) -> Output:
    """Play a score into one file a part, and their sum into `mix.wav`, block after block."""
    files = stem_files([part.name for part in notes.parts])
    chosen = choices(pipeline, settings, verb="stream_stems")
    stream: Callable[..., Iterator[dict[str, Audio]]] = getattr(pipeline, "stream_stems")  # noqa: B009
    samples = 0
    with timed() as elapsed_s, playing(label) as report, ExitStack() as writers:
        blocks = stream(notes, progress=report, **chosen)
        first = next(blocks)
        mix = next(iter(first.values()))
        out = [writers.enter_context(writer_like(mix, folder / name)) for name in [*files, MIX_FILE]]
        for block in itertools.chain([first], blocks):
            stems = [stem.samples for stem in block.values()]
            for writer, part in zip(out, [*stems, sum_of(stems)], strict=True):
                writer.write(part)
            samples += stems[0].shape[-1]
    duration_s = samples / mix.sample_rate_hz
    say(speed_line(f"{len(files)} stems and {MIX_FILE}", duration_s, elapsed_s()))
    fingerprints = {name: file_sha256(folder / name) for name in files}
    return Output(
        MIX_FILE, file_sha256(folder / MIX_FILE), mix.sample_rate_hz, mix.channels, duration_s, fingerprints
    )


def writer_like(audio: Audio, path: Path, *, encoding: str | None = None) -> AudioWriter:
    """A writer for more audio of the same kind."""
    from ondes.audio import AudioWriter  # noqa: PLC0415

    return AudioWriter(path, sample_rate_hz=audio.sample_rate_hz, channels=audio.channels, encoding=encoding)


def sum_of(stems: Sequence[np.ndarray]) -> np.ndarray:
    """All stems at once, added in double precision."""
    import numpy as np  # noqa: PLC0415

    return np.asarray(np.sum(stems, axis=0, dtype=np.float64), np.float32)


def stem_files(parts: Sequence[str]) -> list[str]:
    """A file name for each part: its number, then its name with nothing in it that a file system minds."""
    width = max(2, len(str(len(parts))))
    return [f"{number:0{width}}-{_safe(name)}.wav" for number, name in enumerate(parts, start=1)]


def _safe(name: str) -> str:
    """Letters, digits and dashes, in lower case, at most 40 of them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-") or "part"


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """A stopwatch: call what it gives for the seconds since."""
    began_s = time.monotonic()
    yield lambda: time.monotonic() - began_s


def speed_line(name: str, duration_s: float, elapsed_s: float) -> str:
    """What was written, how long it is, and how long it took."""
    factor = elapsed_s / duration_s if duration_s else 0.0
    return f"{name}: {clock(duration_s)} of music in {clock(elapsed_s)} (real-time factor {factor:.2f})"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when all are there, and vanish on any failure.

    Args:
        folder: Made where missing, and taken away again on failure if it was.

    Yields:
        The temporary folder, inside it.

    Raises:
        UserError: If the folder cannot be made or written to.
    """
    existed = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".ondes-", dir=folder)
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror}; choose another folder") from error
    try:
        with temporary as name:
            yield Path(name)
            for file in sorted(Path(name).iterdir()):
                file.replace(folder / file.name)
    except BaseException:
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise


def check_stem_folder(folder: Path) -> None:
    """Refuse what cannot be a folder of stems.

    Raises:
        UserError: If it looks like an audio file, or is a file.
    """
    from ondes.audio import FORMATS  # noqa: PLC0415

    if folder.suffix.lower() in FORMATS:
        raise UserError(
            f"with --stems -o names a folder, and {folder} looks like a file; pass -o {folder.stem}/"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; with --stems -o names a folder")


def stale_stems(folder: Path, output: Output) -> list[str]:
    """Numbered audio files in a folder that are no part of its newest mix."""
    found = (file.name for file in folder.glob("[0-9][0-9]*-*.wav"))
    return sorted(name for name in found if name not in output.stems)


def check_sidecar(path: Path) -> Path:
    """Refuse to overwrite a JSON file that is somebody's own.

    Raises:
        UserError: If the file exists and is no sidecar.
    """
    if path.exists() and not is_sidecar(path):
        raise UserError(f"{path} exists and is not a sidecar of ondes; pass --no-sidecar or another -o")
    return path


def score_source(score: Path, folder: Path) -> Source:
    """How a sidecar in `folder` refers to a score."""
    return Source(portable_name(score, folder), file_sha256(score))


def is_bundled(model: str) -> bool:
    """Whether the name means a model of the package, which comes before any folder of the same name."""
    from ondes.pipelines.bundled import bundled_models  # noqa: PLC0415

    return model in {bundled.name for bundled in bundled_models()}


def describe(
    folder: Path,
    *,
    pipeline: Player,
    score: Source,
    model: str,
    settings: Settings,
    output: Output,
) -> Sidecar:
    """How a rendering was made, with every choice that was left to the model filled in.

    Args:
        folder: Where the sidecar will lie.
        pipeline: The model that played.
        score: What it played.
        model: What the person called the model.
        settings: What the person chose.
        output: What was written.
    """
    import torch  # noqa: PLC0415

    steps = settings.steps or pipeline.steps_for(settings.sampler)
    vocoder = settings.vocoder and portable(settings.vocoder, folder)
    return Sidecar(
        score=score,
        model=Source(portable(model, folder), pipeline.model_hash),
        settings=replace(settings, steps=steps, threads=torch.get_num_threads(), vocoder=vocoder),
        output=output,
        versions=current_versions(pipeline.packages),
    )


def portable(model: str, folder: Path) -> str:
    """How a sidecar in `folder` names a model or vocoder: a bundled name or Hub id stays as it is."""
    return portable_name(Path(model), folder) if Path(model).exists() and not is_bundled(model) else model
