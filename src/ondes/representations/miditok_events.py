"""Notes as tokens of MidiTok: velocities, durations and programs in the words of a public library.

MidiTok (Fradet et al. 2021, arXiv 2310.17202) knows beats but no segments. So a segment is written to a score of its
own at 120 quarter notes a minute and 50 ticks a quarter, which makes a tick 10 ms, and what sounds already is written
there again from tick 0. A block before it lists these notes up to a `TIE` token, so they are not taken for new ones.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from ondes.errors import UserError, nearest
from ondes.notes import Notes
from ondes.representations.note_events import (
    STEPS_PER_FRAME,
    Starts,
    Tokens,
    TokenSegment,
    Writer,
    check_bins,
    song_frames,
    to_steps,
    write_song,
    write_window,
)
from ondes.representations.note_reading import Key, NoteRow, notes_from_rows

TICKS_PER_QUARTER = 50
LONGEST_QUARTERS = 11
"""Durations that have a token, in quarter notes: 5.5 s, longer than a segment."""

MOST_FRAMES = LONGEST_QUARTERS * TICKS_PER_QUARTER // STEPS_PER_FRAME

SCHEMES = {"TSD": "Pitch", "MIDILike": "NoteOn"}
"""Tokenisers that a codec can use, and the words with which their notes begin."""


@functools.cache
def _tokenizer(scheme: str, velocity_bins: int) -> Any:
    try:
        import miditok  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UserError(
            "the package 'miditok' is missing; MidiTok tokens need it: pip install 'ondes[tokens]'"
        ) from error
    config = miditok.TokenizerConfig(
        pitch_range=(0, 127),
        drums_pitch_range=(0, 127),
        beat_res={(0, LONGEST_QUARTERS): TICKS_PER_QUARTER},
        num_velocities=velocity_bins,
        special_tokens=["PAD", "EOS", "TIE"],
        use_programs=True,
        one_token_stream_for_programs=True,
        use_pitchdrum_tokens=True,
        use_time_signatures=False,
    )
    return getattr(miditok, scheme)(config)


@functools.cache
def _digest(scheme: str, velocity_bins: int) -> str:
    words = json.dumps(_tokenizer(scheme, velocity_bins).vocab, sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()


@dataclass(frozen=True)
class MidiTokCodec:
    """A MidiTok tokeniser with ties and an end token, for models of our own.

    Needs the extra `tokens`. Drums last 10 ms. Where notes of one pitch and program overlap, "MIDILike" ends the
    first with the second; "TSD" keeps both.

    Attributes:
        scheme: "TSD" (notes with durations) or "MIDILike" (beginnings and ends).
        velocity_bins: Loudnesses told apart.
        vocabulary: SHA-256 of the words and ids of the model that was saved; empty for a new one.
    """

    scheme: str = "TSD"
    velocity_bins: int = 32
    vocabulary: str = ""
    name: ClassVar[str] = "miditok"
    pad_id: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise UserError(f"no MidiTok scheme {self.scheme!r}; {nearest(self.scheme, SCHEMES)}")
        check_bins(self.velocity_bins)
        if self.vocabulary not in ("", _digest(self.scheme, self.velocity_bins)):
            raise UserError(
                "the installed MidiTok makes another vocabulary than the one the model was saved with; "
                "install the version of MidiTok it was trained with"
            )

    @property
    def vocabulary_size(self) -> int:
        """All words of the tokeniser."""
        return len(_tokenizer(self.scheme, self.velocity_bins))

    def encode(
        self, notes: Notes, *, segment_frames: int = 256, limit: int | None = 2048
    ) -> list[TokenSegment]:
        """A song in segments: see `ondes.representations.events.EventCodec.encode`."""
        _check_frames(segment_frames)
        return write_song(self._writer(notes), song_frames(notes), segment_frames=segment_frames, limit=limit)

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> Tokens:
        """The tokens of one stretch: see `ondes.representations.events.EventCodec.encode_window`."""
        _check_frames(frames)
        return write_window(self._writer(notes), start_frame, frames)

    def decode(self, segments: Sequence[TokenSegment]) -> Notes:
        """Notes of segments in order: see `ondes.representations.events.EventCodec.decode`."""
        rows: list[NoteRow] = []
        cut: dict[Key, list[int]] = {}  # indices of the notes that reached the end of the segment before
        stop = 0
        for segment in segments:
            start, stop = segment.start_frame, segment.start_frame + segment.frames
            tied, found = self._read(segment)
            reaching: dict[Key, list[int]] = {}
            for row in found:
                key, index = (row.program, row.pitch), len(rows)
                if row.onset == start * STEPS_PER_FRAME and not row.is_drum and tied[key] and cut.get(key):
                    tied[key] -= 1
                    index = cut[key].pop(0)
                    rows[index] = rows[index]._replace(release=row.release)
                else:
                    rows.append(row)
                if row.release >= stop * STEPS_PER_FRAME and not row.is_drum:
                    reaching.setdefault(key, []).append(index)
            cut = reaching
        return notes_from_rows(rows, frames=stop)

    def to_config(self) -> dict[str, Any]:
        """Plain values for `ondes.representations.events.make_codec`, with the vocabulary they made."""
        return {
            "name": self.name,
            "scheme": self.scheme,
            "velocity_bins": self.velocity_bins,
            "vocabulary": _digest(self.scheme, self.velocity_bins),
        }

    def _writer(self, notes: Notes) -> Writer:
        tokenizer = _tokenizer(self.scheme, self.velocity_bins)
        vocabulary, begin = tokenizer.vocab, SCHEMES[self.scheme]
        onset = to_steps(notes.onset_s)
        release = np.where(notes.is_drum, onset, to_steps(notes.release_s))
        release = np.maximum(release, onset + 1)

        def write_one(start: int, stop: int) -> Tokens:
            tied = np.flatnonzero((onset < start) & (release > start) & ~notes.is_drum)
            chosen = np.flatnonzero((onset >= start) & (onset < stop))
            rows = np.concatenate([tied, chosen])
            words = [
                word
                for program, pitch in sorted(zip(notes.program[tied], notes.pitch[tied], strict=True))
                for word in (f"Program_{program}", f"{begin}_{pitch}")
            ]
            begins = np.maximum(onset[rows], start) - start
            lengths = np.minimum(release[rows], stop) - start - begins
            body = _body(tokenizer, notes.select(rows), begins, lengths)
            ties = [vocabulary[word] for word in (*words, "TIE_None")]
            return np.array([*ties, *body, vocabulary["EOS_None"]], np.int64)

        def write(starts: Starts, stop: int) -> list[Tokens]:
            bounds = [*starts.tolist(), stop]
            return [write_one(*pair) for pair in pairwise(bounds)]

        return write

    def _read(self, segment: TokenSegment) -> tuple[Counter[Key], list[NoteRow]]:
        """The tied notes of a segment, and all its notes in steps from the beginning of the song."""
        tokenizer = _tokenizer(self.scheme, self.velocity_bins)
        ids = _until_end(segment.tokens, tokenizer.vocab["EOS_None"], len(tokenizer))
        tie = tokenizer.vocab["TIE_None"]
        cut = ids.index(tie) if tie in ids else -1
        words = [tokenizer[index] for index in ids[: max(cut, 0)]]
        programs = [int(word.split("_")[1]) for word in words[::2]]
        pitches = [int(word.split("_")[1]) for word in words[1::2]]
        body = ids[cut + 1 :]
        start = segment.start_frame * STEPS_PER_FRAME
        rows = list(_rows(tokenizer, body, start)) if body else []
        return Counter(zip(programs, pitches, strict=True)), sorted(rows)


def _check_frames(frames: int) -> None:
    if frames > MOST_FRAMES:
        raise ValueError(
            f"segments of {frames} frames; MidiTok tokens have durations of at most {MOST_FRAMES}"
        )


def _body(tokenizer: Any, notes: Notes, begins: np.ndarray, lengths: np.ndarray) -> list[int]:
    """MidiTok's ids of notes at ticks of 10 ms."""
    from symusic.core import NoteTickList, ScoreTick, TrackTick  # noqa: PLC0415

    if not len(notes):
        return []
    score = ScoreTick(TICKS_PER_QUARTER)
    instruments = np.where(notes.is_drum, -1, notes.program)
    for instrument in np.unique(instruments).tolist():
        own = instruments == instrument
        track = TrackTick("", max(instrument, 0), instrument < 0)
        track.notes = NoteTickList.from_numpy(
            begins[own].astype(np.int32),
            lengths[own].astype(np.int32),
            notes.pitch[own].astype(np.int8),
            notes.velocity[own].astype(np.int8),
        )
        score.tracks.append(track)
    return tokenizer(score).ids


def _until_end(tokens: Tokens, end: int, size: int) -> list[int]:
    """Ids without padding, up to the end token."""
    ids = []
    for position, token in enumerate(tokens.tolist()):
        if token == end:
            break
        if not 0 <= token < size:
            raise ValueError(
                f"token {token} at position {position} stands for nothing; those from 0 to {size - 1} do"
            )
        if token:
            ids.append(token)
    return ids


def _rows(tokenizer: Any, ids: list[int], start: int) -> Iterator[NoteRow]:
    """The notes that MidiTok reads."""
    from miditok import TokSequence  # noqa: PLC0415

    for track in tokenizer.decode(TokSequence(ids=[*ids])).tracks:
        program = 0 if track.is_drum else int(track.program)
        for note in track.notes:
            onset = start + note.time
            yield NoteRow(onset, onset + note.duration, note.pitch, note.velocity, program, track.is_drum)
