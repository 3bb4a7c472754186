"""The long part of an evaluation of a model of audio: make music, edit recordings, and listen to all of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ondes.audio import Audio
from ondes.evaluation.audio_clips import Clip
from ondes.evaluation.audio_gaps import BASELINES, Fit, fit_of, largest_change_outside, silence
from ondes.evaluation.audio_neighbours import QUERY_HOP, TRAINING_HOP, nearest_distances, stretches
from ondes.evaluation.audio_seams import Measure, SeamPoints, music_onsets_s, seam_points
from ondes.evaluation.embeddings import Embedding
from ondes.evaluation.listening import fit
from ondes.evaluation.loudness import channel_coherence, loudness_lufs
from ondes.evaluation.spectra import log_mel

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

LOW_HZ, HIGH_HZ = 50.0, 8000.0
"""Between these the coherence of left and right is measured."""
GAP_S = 2.0
OUTPAINTED_SHARE = 0.25
"""Of a clip's length, taken off either end and made again."""
MEASURES: tuple[Measure, Measure] = ("flux", "jump")
SHUFFLED_S = 0.25
SHOWN = 2
"""Clips of each kind of which a picture is kept."""
COPIED = 16
"""Training recordings of which stretches are looked for in the training set, to see how near copies are."""
OURS, REAL, FLOOR = "ours", "data", "other data"


@dataclass(frozen=True)
class AudioSubject:
    """What is evaluated: functions of a seed.

    Attributes:
        generate: New music of a length in seconds.
        inpaint: A recording with a stretch made anew, from a second to another.
        outpaint: A recording with seconds made before and after it.
        joins_s: Where windows of a piece of a length are joined.
    """

    generate: Callable[[float, int], Audio]
    inpaint: Callable[[Audio, float, float, int], Audio] | None = None
    outpaint: Callable[[Audio, float, float, int], Audio] | None = None
    joins_s: Callable[[float], np.ndarray] | None = None


@dataclass(eq=False)
class HeardSet:
    """What was heard of a set of clips, in their order.

    Attributes:
        sources: What each was taken from.
        vectors: Of each embedding, by clip (frames, dimension).
        coherence: Of left and right.
        lufs: Integrated loudness.
        distances: Of three-second stretches to the nearest of the training set, by clip.
    """

    sources: list[str] = field(default_factory=list)
    vectors: dict[str, list[np.ndarray]] = field(default_factory=dict)
    coherence: list[float] = field(default_factory=list)
    lufs: list[float] = field(default_factory=list)
    stretches: list[np.ndarray] = field(default_factory=list)
    distances: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sources)

    def add(self, audio: Audio, source: str, embeddings: Sequence[Embedding]) -> None:
        """Listen to a clip."""
        self.sources.append(source)
        for embed in embeddings:
            self.vectors.setdefault(embed.name, []).append(embed(audio))
        self.coherence.append(channel_coherence(audio, low_hz=LOW_HZ, high_hz=HIGH_HZ))
        self.lufs.append(loudness_lufs(audio))
        self.stretches.append(stretches(log_mel(audio), hop_frames=QUERY_HOP))


@dataclass(eq=False)
class Edits:
    """What came of editing recordings, in the order of the clips.

    Attributes:
        sources: What each clip was taken from.
        outside: Largest |difference| of samples that should stay.
        seams: By measure: of the edited recordings at their borders.
        control: By measure: of the untouched recordings at the same places.
        fits: By what filled the gap: how it agrees with what was there; of inpainting only.
    """

    sources: list[str] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)
    seams: dict[Measure, list[SeamPoints]] = field(default_factory=dict)
    control: dict[Measure, list[SeamPoints]] = field(default_factory=dict)
    fits: dict[str, list[Fit]] = field(default_factory=dict)

    def add_seams(self, edited: Audio, original: Audio, borders_s: Sequence[float]) -> None:
        """Look at the borders, edited and not."""
        for found, audio in ((self.seams, edited), (self.control, original)):
            onsets_s = music_onsets_s(audio, original, borders_s)
            for measure in MEASURES:
                points = seam_points(audio, borders_s, onsets_s=onsets_s, measure=measure)
                found.setdefault(measure, []).append(points)


@dataclass(eq=False)
class AudioFindings:
    """Everything that was heard.

    Attributes:
        duration_s: Length of the clips.
        dimensions: Length of the vectors of each embedding.
        sets: By name; `REAL` is what the others are compared with, `FLOOR` more of the same.
        inpainting: None where the model cannot.
        outpainting: The same.
        joins: By measure: of long pieces where windows are joined.
        copies: Distances of stretches of the training set, shifted by a frame, to the training set.
        elapsed_s: Seconds of making, and of the music made.
        pictures: Title to log-mel, and the seconds at which its borders are.
        listening: Name to sound, for who wants to hear.
        remarks: What a reader must know.
    """

    duration_s: float
    dimensions: dict[str, int]
    sets: dict[str, HeardSet] = field(default_factory=dict)
    inpainting: Edits | None = None
    outpainting: Edits | None = None
    joins: dict[Measure, list[SeamPoints]] = field(default_factory=dict)
    copies: np.ndarray = field(default_factory=lambda: np.zeros(0))
    elapsed_s: list[tuple[float, float]] = field(default_factory=list)
    pictures: dict[str, tuple[np.ndarray, tuple[float, ...]]] = field(default_factory=dict)
    listening: dict[str, Audio] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def show(self, title: str, audio: Audio, borders_s: Sequence[float] = ()) -> None:
        """Keep a picture and the sound."""
        self.pictures[title] = (log_mel(audio).mean(axis=0), tuple(borders_s))
        self.listening[title] = audio


def evaluate_audio(
    subject: AudioSubject,
    real: Sequence[Clip],
    other: Sequence[Clip],
    embeddings: Sequence[Embedding],
    *,
    duration_s: float,
    rivals: Mapping[str, Callable[[int], Audio]] | None = None,
    training: Iterable[np.ndarray] = (),
    long_s: float = 60.0,
    long_pieces: int = 4,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> AudioFindings:
    """Make as much as `other` holds, edit all of `other`, and listen.

    Args:
        subject: What is evaluated.
        real: Clips that everything is compared with.
        other: Clips of other sources that are edited, and whose distance from `real` is the floor.
        embeddings: What listens.
        duration_s: Length of the clips.
        rivals: What else makes music, by name: a seed to a clip.
        training: Log-mels of the training set, read once.
        long_s: Length of the pieces whose joins are looked at.
        long_pieces: How many.
        seed: Of all that is made.
        progress: Told of each clip.
    """
    findings = AudioFindings(duration_s, {embed.name: embed.dimension for embed in embeddings})

    def timed(index: int) -> Audio:
        began_s = time.perf_counter()
        audio = subject.generate(duration_s, seed + index)
        findings.elapsed_s.append((time.perf_counter() - began_s, audio.duration_s))
        return audio

    count = len(other)
    makers: dict[str, tuple[int, Callable[[int], Audio]]] = {
        REAL: (len(real), lambda index: real[index].audio),
        FLOOR: (count, lambda index: other[index].audio),
        OURS: (count, timed),
        **{name: (count, make) for name, make in (rivals or {}).items()},
        "shuffled data": (count, lambda index: shuffled(other[index].audio, seed + index)),
        "noise": (count, lambda index: noise_like(other[index].audio, seed + index)),
        "silence": (count, lambda _: Audio.silence(duration_s)),
    }
    done, total = 0, sum(number for number, _ in makers.values())
    for name, (number, make) in makers.items():
        heard = findings.sets.setdefault(name, HeardSet())
        for index in range(number):
            progress("listening", done, total)
            audio = fit(make(index).to_stereo().resample(44_100), duration_s)
            source = {REAL: real, FLOOR: other}.get(name)
            heard.add(audio, source[index].source if source else f"{name} {index}", embeddings)
            if index < SHOWN and name not in ("noise", "silence"):
                findings.show(f"{name} {index + 1}", audio)
            done += 1
    progress("listening", total, total)
    _edit(findings, subject, other, seed, progress)
    _join(findings, subject, long_s, long_pieces, seed, progress)
    _search(findings, training, progress)
    return findings


def shuffled(audio: Audio, seed: int) -> Audio:
    """The recording's quarters of a second in another order: the same sounds, no music."""
    length = round(SHUFFLED_S * audio.sample_rate_hz)
    blocks = audio.samples[:, : audio.samples.shape[1] // length * length].reshape(audio.channels, -1, length)
    order = np.random.default_rng([seed, 0x5F]).permutation(blocks.shape[1])
    return Audio(blocks[:, order].reshape(audio.channels, -1), audio.sample_rate_hz)


def noise_like(audio: Audio, seed: int) -> Audio:
    """White noise of the recording's power."""
    power = float(np.sqrt(np.mean(np.square(audio.samples, dtype=np.float64))))
    noise = np.random.default_rng([seed, 0x4015E]).normal(size=audio.samples.shape)
    return Audio((power * noise).astype(np.float32), audio.sample_rate_hz)


def _edit(
    findings: AudioFindings, subject: AudioSubject, clips: Sequence[Clip], seed: int, progress: Progress
) -> None:
    """Inpaint a gap in the middle of each clip, and outpaint the middle of each."""
    middle_s = findings.duration_s / 2
    gap = (round(middle_s - GAP_S / 2, 2), round(middle_s + GAP_S / 2, 2))
    if subject.inpaint is not None:
        findings.inpainting = Edits()
        for index, clip in enumerate(clips):
            progress("inpainting", index, len(clips))
            edited = subject.inpaint(clip.audio, *gap, seed + index)
            _compare(findings.inpainting, clip, edited, gap)
            if index < SHOWN:
                findings.show(f"inpainted {index + 1}", edited, gap)
        progress("inpainting", len(clips), len(clips))
    if subject.outpaint is not None:
        findings.outpainting = Edits()
        for index, clip in enumerate(clips):
            progress("outpainting", index, len(clips))
            edited, borders_s = _outpainted(findings.outpainting, subject.outpaint, clip, seed + index)
            if index < SHOWN:
                findings.show(f"outpainted {index + 1}", edited, borders_s)
        progress("outpainting", len(clips), len(clips))


def _compare(edits: Edits, clip: Clip, edited: Audio, gap: tuple[float, float]) -> None:
    """A filled gap and what fills it without a model, against what was there."""
    edits.sources.append(clip.source)
    edits.outside.append(largest_change_outside(clip.audio, edited, *gap))
    edits.add_seams(edited, clip.audio, gap)
    holed = silence(clip.audio, *gap)
    for name, filled in {OURS: edited, **{name: f(holed, *gap) for name, f in BASELINES.items()}}.items():
        edits.fits.setdefault(name, []).append(fit_of(clip.audio, filled, *gap))


def _outpainted(
    edits: Edits, outpaint: Callable[[Audio, float, float, int], Audio], clip: Clip, seed: int
) -> tuple[Audio, tuple[float, float]]:
    """The middle of a clip with both ends made anew; what it was before is known."""
    whole = clip.audio
    taken = round(OUTPAINTED_SHARE * whole.samples.shape[1])
    kept = Audio(whole.samples[:, taken:-taken].copy(), whole.sample_rate_hz)
    taken_s = taken / whole.sample_rate_hz
    edited = outpaint(kept, taken_s, taken_s, seed)
    borders_s = (taken_s, taken_s + kept.duration_s)
    edits.sources.append(clip.source)
    same = edited.samples.shape == whole.samples.shape
    apart = np.abs(edited.samples[:, taken:-taken] - kept.samples).max() if same else np.inf
    edits.outside.append(float(apart))
    edits.add_seams(fit(edited, whole.duration_s), whole, borders_s)
    return edited, borders_s


def _join(
    findings: AudioFindings,
    subject: AudioSubject,
    long_s: float,
    pieces: int,
    seed: int,
    progress: Progress,
) -> None:
    """Look at the joins of windows in long pieces."""
    joins_s = subject.joins_s(long_s) if subject.joins_s is not None else np.zeros(0)
    if not len(joins_s):
        return
    for index in range(pieces):
        progress("long pieces", index, pieces)
        audio = subject.generate(long_s, seed + index)
        for measure in MEASURES:
            findings.joins.setdefault(measure, []).append(seam_points(audio, joins_s, measure=measure))
    progress("long pieces", pieces, pieces)


def _search(findings: AudioFindings, training: Iterable[np.ndarray], progress: Progress) -> None:
    """Look for everything that was made in the training set."""
    names = [name for name in findings.sets if name not in (REAL, "noise", "silence")]
    queries = [np.concatenate(findings.sets[name].stretches) for name in names]
    levels = iter(training)
    first = list(itertools.islice(levels, COPIED))
    if not first:
        findings.remarks.append("no training set was given to look for copies in: pass --train")
        return
    copies = [stretches(level, hop_frames=QUERY_HOP, first_frame=1) for level in first]

    def rows() -> Iterator[np.ndarray]:
        for index, level in enumerate(itertools.chain(first, levels)):
            progress("searching the training set", index, index + 1)
            yield stretches(level, hop_frames=TRAINING_HOP)

    lengths = [len(query) for query in (*queries, *copies)]
    nearest = nearest_distances(np.concatenate([*queries, *copies]), rows())
    parts = np.split(nearest, np.cumsum(lengths)[:-1])
    findings.copies = np.concatenate(parts[len(names) :])
    for name, part in zip(names, parts, strict=False):
        heard = findings.sets[name]
        heard.distances = np.split(part, np.cumsum([len(s) for s in heard.stretches])[:-1])
