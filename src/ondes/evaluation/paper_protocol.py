"""The evaluation of the Spectrogram Diffusion paper: whole songs, each segment after what the model itself has made.

Hawthorne et al. (2022), arXiv 2206.05408, section 4. Two groups of figures: whole songs up to ten minutes, and one
chunk of 256 frames (5.12 s) at each minute, which shows whether the sound drifts as a model hears only itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation.embeddings import Embedding
from ondes.evaluation.excerpts import cut
from ondes.evaluation.program_f1 import Listener
from ondes.score import Notes

if TYPE_CHECKING:
    from ondes.datasets.recordings import Recording

CHUNK_S = 5.12
MINUTES = tuple(range(11))
LONGEST_SONG_S = 600.0
LONGEST_PLAYED_S = MINUTES[-1] * 60 + CHUNK_S
"""What the last chunk needs."""

FRAMED_RATE_HZ = 16_000
"""Rate of the official layout, which tells its vocoders from ours."""

GROUPS = ("whole songs", "chunks at each minute")
MODEL, CEILING, TRUTH, SILENCE = "model", "vocoder ceiling", "ground truth", "silence"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Song:
    """A recording with its notes.

    Attributes:
        name: Unique within a set.
        source: The work; songs of one work are not independent.
        notes: What is played, and what the model gets.
        record: The true audio, any rate and channels; it is asked for once.
    """

    name: str
    source: str
    notes: Notes
    record: Callable[[], Audio]


@dataclass(frozen=True)
class PaperSubject:
    """What is evaluated.

    Attributes:
        stream: Notes become blocks of audio; the first block stands for the first segment, which the speed leaves
            out.
        ceiling: True audio, to the log-mel of the model's layout, and back through its vocoder: what a perfect
            model would sound like. None leaves the row out.
    """

    stream: Callable[[Notes], Iterator[Audio]]
    ceiling: Callable[[Audio], Audio] | None = None


@dataclass(frozen=True, eq=False)
class Piece:
    """What is known of one stretch of one player's audio: its embedding (frames, d), and the notes heard in it."""

    embedding: np.ndarray
    heard: Notes


@dataclass(eq=False)
class SongFindings:
    """One song.

    Attributes:
        name: Of the song.
        source: Of the song.
        written: Notes of each stretch, group by group.
        pieces: Player to group to stretches, in one order; the first group has one stretch.
        minutes: Where the chunks are.
        elapsed_s: Seconds for all audio but that of the first block, and the seconds of that audio; None of a
            stream of one block.
    """

    name: str
    source: str
    written: dict[str, list[Notes]]
    minutes: list[int]
    pieces: dict[str, dict[str, list[Piece]]] = field(default_factory=dict)
    elapsed_s: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class PaperFindings:
    """All songs, and who listened.

    Attributes:
        songs: In the order in which they were played.
        embedding: Its name.
        dimension: Of the embedding.
        listener: Who wrote down the notes.
    """

    songs: list[SongFindings]
    embedding: str
    dimension: int
    listener: Listener


def evaluate_paper(
    subject: PaperSubject,
    songs: Sequence[Song],
    embedding: Embedding,
    listener: Listener,
    *,
    progress: Progress = lambda *_: None,
) -> PaperFindings:
    """Play every song from beginning to end and listen to it, to the true audio, and to what the vocoder makes of it.

    Args:
        subject: What is evaluated.
        songs: What to play; of longer ones the first ten minutes.
        embedding: For distances.
        listener: For note F1.
        progress: Told of each song.
    """
    findings = PaperFindings([], embedding.name, embedding.dimension, listener)
    for done, song in enumerate(songs):
        progress("songs", done, len(songs))
        findings.songs.append(_evaluate_song(subject, song, embedding, listener))
    progress("songs", len(songs), len(songs))
    return findings


def _evaluate_song(
    subject: PaperSubject, song: Song, embedding: Embedding, listener: Listener
) -> SongFindings:
    truth = song.record()
    truth = _stretch(truth, 0.0, min(truth.duration_s, LONGEST_PLAYED_S))
    notes = cut(song.notes, 0.0, truth.duration_s)
    made, elapsed_s = timed_stream(subject.stream(notes))
    players = {MODEL: made, TRUTH: truth}
    if subject.ceiling is not None:
        players[CEILING] = subject.ceiling(truth)
    players[SILENCE] = Audio(np.zeros_like(truth.samples), truth.sample_rate_hz)
    whole_s = min(truth.duration_s, LONGEST_SONG_S)
    minutes = [m for m in MINUTES if 60 * m + CHUNK_S <= truth.duration_s]
    spans = {GROUPS[0]: [(0.0, whole_s)], GROUPS[1]: [(60.0 * m, CHUNK_S) for m in minutes]}
    written = {group: [cut(notes, *span) for span in found] for group, found in spans.items()}
    found = SongFindings(song.name, song.source, written, minutes, elapsed_s=elapsed_s)
    for name, audio in players.items():
        found.pieces[name] = {
            group: [_listen(_stretch(audio, *span), embedding, listener) for span in places]
            for group, places in spans.items()
        }
    return found


def timed_stream(blocks: Iterator[Audio]) -> tuple[Audio, tuple[float, float] | None]:
    """All blocks as one, and the seconds that those after the first took and last.

    The first segment has no context, and first calls are slow: the paper leaves it out.

    Raises:
        UserError: If there are none.
    """
    first = next(blocks, None)
    if first is None:
        raise UserError("the model made no audio of a song; give songs whose notes sound within their length")
    began_s = time.perf_counter()
    rest = list(blocks)
    elapsed_s = time.perf_counter() - began_s
    length_s = sum(block.duration_s for block in rest)
    return Audio.concatenate([first, *rest]), (elapsed_s, length_s) if length_s else None


def _listen(audio: Audio, embedding: Embedding, listener: Listener) -> Piece:
    return Piece(embedding(audio), listener.hear(audio))


def _stretch(audio: Audio, start_s: float, length_s: float) -> Audio:
    """A stretch of audio, filled with silence where it ends too early."""
    begin, count = round(start_s * audio.sample_rate_hz), round(length_s * audio.sample_rate_hz)
    samples = audio.samples[:, begin : begin + count]
    return Audio(np.pad(samples, ((0, 0), (0, count - samples.shape[1]))), audio.sample_rate_hz)


def recorded_song(recording: Recording, *, sample_rate_hz: int = 44_100) -> Song:
    """A recording of a data set as something to play; its audio is read when its turn comes.

    Raises:
        RejectedError: If it has no notes, or their files are missing or damaged.
    """
    name = f"{recording.dataset}/{recording.id}"
    return Song(
        name,
        name,
        recording.read_notes(),
        lambda: Audio(recording.read_audio(sample_rate_hz)[None], sample_rate_hz),
    )


def pipeline_subject(pipeline: Any, **choices: Any) -> PaperSubject:
    """A pipeline as something to evaluate.

    Args:
        pipeline: With the verb `stream`, as `SynthesisPipeline` and `SpectrogramDiffusionPipeline` have it, and a
            `vocoder` for the ceiling.
        choices: Seed, steps and so on, given to every call.
    """
    vocoder = getattr(pipeline, "vocoder", None)
    decode = None if vocoder is None else vocoder_ceiling(vocoder)
    return PaperSubject(lambda notes: pipeline.stream(notes, **choices), decode)


def vocoder_ceiling(vocoder: Any) -> Callable[[Audio], Audio]:
    """True audio to the vocoder's own log-mel and back.

    Args:
        vocoder: One of the stereo layout (its `spec` has another rate than 16 kHz; it takes (batch, 2, bands,
            frames)), or one of framed log-mels (frames, 128) at 16 kHz.
    """
    rate_hz = getattr(getattr(vocoder, "spec", None), "sample_rate_hz", FRAMED_RATE_HZ)
    through = _through_framed if rate_hz == FRAMED_RATE_HZ else _through_stereo
    return lambda audio: through(vocoder, audio)


def _through_stereo(vocoder: Any, audio: Audio) -> Audio:
    import torch  # noqa: PLC0415

    from ondes.representations.mel import to_log_mel  # noqa: PLC0415

    spec = vocoder.spec
    stereo = audio.to_stereo().resample(spec.sample_rate_hz)
    with torch.no_grad():
        mel = to_log_mel(torch.tensor(stereo.samples), spec=spec)
        samples = vocoder(mel[None].to(vocoder.device))[0]
    return Audio(samples.float().cpu().numpy(), spec.sample_rate_hz)


def _through_framed(vocoder: Any, audio: Audio) -> Audio:
    import torch  # noqa: PLC0415

    from ondes.representations.framed_mel import FEATURE_RANGE, OFFICIAL, to_framed_log_mel  # noqa: PLC0415

    mono = Audio(audio.samples.mean(axis=0, dtype=np.float32)[None], audio.sample_rate_hz)
    samples = torch.tensor(mono.resample(OFFICIAL.sample_rate_hz).samples[0])
    with torch.no_grad():
        mel = to_framed_log_mel(samples).clamp(*FEATURE_RANGE)  # what the model could say
        made = torch.as_tensor(vocoder(mel)).float().cpu().numpy().reshape(1, -1)
    return Audio(made, OFFICIAL.sample_rate_hz)
