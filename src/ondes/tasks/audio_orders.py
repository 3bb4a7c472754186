"""How orders become new or edited audio, and what a record of it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Output, Source, current_versions
from ondes.tasks.audio_record import AudioRecord
from ondes.tasks.performing import portable

if TYPE_CHECKING:
    from ondes.audio import Audio
    from ondes.pipelines.audio_opening import AudioMaker
    from ondes.pipelines.synthesis import SynthesisPipeline

DEFAULT_MODEL = "audio-small"
SCORE_MODEL = "synth-small"
"""Plays regions of sounds anew from a score."""

MOST_CHANNELS = 2


@dataclass(frozen=True)
class Sound:
    """A file that was looked at.

    Attributes:
        path: Where it is.
        sha256: Of its bytes.
        sample_rate_hz: Its rate.
        channels: One or two.
        samples: In each channel.
        encoding: What keeps its samples exactly, as `ondes.audio.encoding_of` says.
    """

    path: Path
    sha256: str
    sample_rate_hz: int
    channels: int
    samples: int
    encoding: str

    @property
    def suffix(self) -> str:
        """Of a file for what is made of it, which holds its samples exactly."""
        return ".flac" if self.path.suffix.lower() == ".flac" and self.encoding == "24-bit" else ".wav"


@dataclass(frozen=True)
class Order:
    """One file to make.

    Attributes:
        verb: Of the pipeline.
        sounds: What is edited: none for new music, two to interpolate.
        choices: Keyword arguments of the verb, all of them JSON.
        name: Of the file.
        encoding: Of the file, as `AudioWriter` takes it.
        score: The score of which regions are played anew.
    """

    verb: str
    sounds: tuple[Sound, ...]
    choices: dict[str, Any]
    name: str
    encoding: str | None
    score: Path | None = None


@dataclass(frozen=True)
class Engine:
    """What makes the audio, by the names that people type; the model's own vocoder, torch's own threads where None.

    A model of music from nothing, or one that plays scores.
    """

    model: str
    vocoder: str | None
    threads: int | None
    plays: bool = False

    def open(self) -> AudioMaker | SynthesisPipeline:
        """The model.

        Raises:
            UserError: If there is no such model or vocoder, its weights are damaged, or it cannot play regions.
        """
        if not self.plays:
            from ondes.pipelines.audio_opening import open_audio_pipeline  # noqa: PLC0415

            return open_audio_pipeline(self.model, vocoder=self.vocoder)
        from ondes.pipelines.opening import open_pipeline  # noqa: PLC0415

        return self.checked(open_pipeline(self.model, vocoder=self.vocoder))

    def checked(self, pipeline: Any) -> Any:
        """The model, if it can do what is asked for.

        Raises:
            UserError: If it plays scores, and no regions of sounds.
        """
        if self.plays and not hasattr(pipeline, "stream_inpaint"):
            raise UserError(
                f"{self.model} plays whole scores, no regions of sounds; choose {SCORE_MODEL}, or give no score"
            )
        return pipeline


def look_at(path: Path) -> Sound:
    """Find out whether a file can be edited, before a model is loaded for nothing.

    Raises:
        UserError: If it is missing, no audio, damaged, empty, or has more than two channels.
    """
    from ondes.audio import encoding_of  # noqa: PLC0415
    from ondes.sound_files import AudioReader  # noqa: PLC0415

    file = AudioReader(path)
    samples = sum(block.shape[1] for block in file.blocks())
    if not samples:
        raise UserError(f"{path} holds no samples; give a file with sound in it")
    if file.channels > MOST_CHANNELS:
        raise UserError(
            f"{path} has {file.channels} channels; mono and stereo can be edited, so mix it down first"
        )
    return Sound(path, file_sha256(path), file.sample_rate_hz, file.channels, samples, encoding_of(path))


def exact_encoding(sounds: Sequence[Sound], name: str) -> str | None:
    """Of a file that keeps the samples of the first sound, where its format can."""
    exact = {".wav": sounds[0].encoding, ".flac": "24-bit"} if sounds else {}
    return exact.get(Path(name).suffix.lower())


def seeds(choices: dict[str, Any], first: int, count: int) -> list[dict[str, Any]]:
    """Variants that differ in their seeds, each one more than the one before.

    Raises:
        UserError: If they would go beyond the last seed.
    """
    if first + count > 2**32:
        raise UserError(past_the_last_seed(first, count))
    return [choices | {"seed": first + index} for index in range(count)]


def past_the_last_seed(first: int, count: int) -> str:
    """What is said of seeds that go too far."""
    return f"seed {first} for {count} results goes beyond the last seed, {2**32 - 1}; begin lower"


def blocks_of(
    order: Order, pipeline: AudioMaker | SynthesisPipeline, progress: Callable[[float, float], None]
) -> Iterator[Audio]:
    """The music block after block as it is made."""
    name = f"stream_{order.verb}" if order.sounds else "stream"
    verb: Callable[..., Iterator[Audio]] = getattr(pipeline, name)
    choices = order.choices if order.score is None else order.choices | {"score": order.score}
    yield from verb(*(sound.path for sound in order.sounds), progress=progress, **choices)


def together(orders: Sequence[Order]) -> AbstractContextManager[None]:
    """Within, several orders share what they have in common: the steps of a walk the inversions of its two ends."""
    if not any(order.choices.get("method") == "inversion" for order in orders):
        return nullcontext()
    from ondes.pipelines.audio_variation import inversions_kept  # noqa: PLC0415

    return inversions_kept()


def describe(
    order: Order,
    inputs: list[Source],
    made: Output,
    folder: Path,
    engine: Engine,
    pipeline: AudioMaker | SynthesisPipeline,
    *,
    score: Source | None = None,
) -> AudioRecord:
    """How a file was made.

    Args:
        order: What was asked for.
        inputs: The sounds, as the record calls them.
        made: What was written.
        folder: Where the record will lie.
        engine: What was asked to make it.
        pipeline: What made it.
        score: The score, as the record calls it.
    """
    import torch  # noqa: PLC0415

    return AudioRecord(
        verb=order.verb,
        inputs=inputs,
        choices={"steps": pipeline.default_steps} | order.choices,
        threads=torch.get_num_threads(),
        model=Source(portable(engine.model, folder), pipeline.model_hash),
        vocoder=engine.vocoder and portable(engine.vocoder, folder),
        encoding=order.encoding,
        output=made,
        versions=current_versions(),
        score=score,
    )
