"""Scores like another: a share of what its notes are is drawn anew, what is kept stays to the tick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from ondes.pipelines.composer_editing import (
    TickNotes,
    edited,
)
from ondes.pipelines.composer_pieces import (
    Piece,
    Setting,
    noted,
    part_specs,
    plain_velocity_of,
    tick_notes,
    tracks_for,
    tracks_of_parts,
    with_wishes,
)
from ondes.pipelines.composer_verbs import redraw
from ondes.pipelines.composer_windows import drawing, rows_to_notes
from ondes.pipelines.composer_wishes import Wishes
from ondes.representations.note_conditions import conditions_of
from ondes.representations.note_sequence import DRUMS, NoteSequence
from ondes.representations.note_tokens import (
    BAR,
    DURATION,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    POSITION,
    VELOCITY,
    NoteTokenSpec,
    Tokens,
    to_tokens,
)

if TYPE_CHECKING:
    import symusic.core

KEPT_FIELDS = {
    "rhythm": ("position", "duration", "offset", "duration_rest"),
    "pitch": ("pitch",),
    "instruments": ("instrument", "part_number"),
    "velocity": ("velocity",),
}
"""Fields that change together in a variation, by the word for them."""


def variation(
    score: symusic.core.ScoreTick,
    wishes: Wishes,
    setting: Setting,
    *,
    strength: float,
    keep: frozenset[str],
    seed: int,
) -> Piece:
    """A score of which a share of the notes' rhythm, pitch, instruments and velocity is drawn anew; bars stay.

    A note that would sound while another of its track and pitch does stays as it was, so that none is lost. Drums stay
    drums, and nothing else becomes one. Where all have one velocity they keep it: each is a note that was there.

    Raises:
        UserError: If there is nothing to vary.
    """
    music = noted(score, setting, "vary")
    plain = plain_velocity_of(score, music)
    mask = _variation_mask(music, strength, keep, setting.spec, seed, is_flat=plain is not None)
    windows = redraw(music, mask, sizes=setting.sizes, spec=setting.spec, is_flat=plain is not None)
    tracks = tracks_of_parts(music)
    before = to_tokens(music, spec=setting.spec)

    def finish(tokens: Tokens) -> symusic.core.ScoreTick:
        # A key of the kit is no pitch: what would become a drum keeps its own, and who plays it.
        turned = np.ix_(
            (tokens[:, INSTRUMENT] == DRUMS) & (music.instrument != DRUMS), [PITCH, INSTRUMENT, PART_NUMBER]
        )
        tokens = tokens.copy()
        tokens[turned] = before[turned]
        changed = tokens != before
        changed[:, BAR] = False
        rows = np.flatnonzero(changed.any(axis=1))
        new = rows_to_notes(tokens[rows], music.bar[rows], music.bars, spec=setting.spec)
        added = _changed_notes(music.select(rows), new, changed[rows], score, tracks, setting.spec)
        while (doubles := doubling(score, _taken_out(score, music, rows), added)).any():
            rows, added = rows[~doubles], added.select(~doubles)
        return edited(score, removed=_taken_out(score, music, rows), added=added)

    conditions = with_wishes(conditions_of(music), wishes)
    parts = part_specs(list(tracks))
    expected = int(mask.any(axis=1).sum())
    return Piece(windows, finish, conditions, parts, music.bars, wishes, seed, expected)


def _taken_out(
    score: symusic.core.ScoreTick, music: NoteSequence, rows: Int64[np.ndarray, " rows"]
) -> dict[int, Bool[np.ndarray, " notes"]]:
    """Which notes of each track of the score make way for these of the music, by the track's index."""
    return {
        index: np.isin(np.arange(len(score.tracks[index].notes)), music.index[rows][own])
        for index in np.unique(music.track[rows]).tolist()
        for own in [music.track[rows] == index]
    }


def doubling(
    score: symusic.core.ScoreTick, removed: Mapping[int, Bool[np.ndarray, " old"]], added: TickNotes
) -> Bool[np.ndarray, " new"]:
    """Which new notes would sound while another of their track and pitch does.

    Args:
        score: Is not changed.
        removed: Which notes of a track go, by the track's index.
        added: New notes.
    """
    found = np.zeros(len(added), np.bool_)
    for index in np.unique(added.track).tolist():
        table, own = score.tracks[index].notes.numpy(), np.flatnonzero(added.track == index)
        stays = ~removed[index] if index in removed else np.ones(len(table["time"]), np.bool_)
        row = np.concatenate([np.full(int(stays.sum()), -1), own])
        begin, length, pitch = (
            np.concatenate([table[name][stays].astype(np.int64), values[own]])
            for name, values in (("time", added.time), ("duration", added.duration), ("pitch", added.pitch))
        )
        last: dict[int, tuple[int, int]] = {}
        for place in np.lexsort((row, begin, pitch)).tolist():
            until, before = last.get(int(pitch[place]), (-1, -1))
            if begin[place] < until:
                for one in (int(row[place]), before):
                    if one >= 0:
                        found[one] = True
            end = int(begin[place] + max(length[place], 1))
            if end > until:
                last[int(pitch[place])] = end, int(row[place])
    return found


def _variation_mask(
    music: NoteSequence,
    strength: float,
    keep: frozenset[str],
    spec: NoteTokenSpec,
    seed: int,
    *,
    is_flat: bool,
) -> Bool[np.ndarray, "notes fields"]:
    """Which fields are drawn anew: of each note, each group of `KEPT_FIELDS` with a chance of `strength`."""
    mask = np.zeros((len(music), len(spec.fields)), np.bool_)
    generator = drawing(seed, "variation")
    for word, names in KEPT_FIELDS.items():
        chosen = generator.random(len(music)) < strength
        if word in keep or (word == "velocity" and is_flat):
            continue
        mask[:, [spec.fields.index(name) for name in names if name in spec.fields]] = chosen[:, None]
    drums = np.flatnonzero(music.instrument == DRUMS)
    mask[drums[:, None], [INSTRUMENT, PART_NUMBER]] = False
    return mask


def _changed_notes(
    old: NoteSequence,
    new: NoteSequence,
    changed: Bool[np.ndarray, "notes fields"],
    score: symusic.core.ScoreTick,
    tracks: Mapping[tuple[int, int], int],
    spec: NoteTokenSpec,
) -> TickNotes:
    """Notes with what has changed about them; what has not stays to the tick."""
    tables = {track: score.tracks[track].notes.numpy() for track in np.unique(old.track).tolist()}
    exact = np.array(
        [
            [tables[track][name][row] for name in ("time", "duration", "velocity")]
            for track, row in zip(old.track.tolist(), old.index.tolist(), strict=True)
        ],
        np.int64,
    ).reshape(-1, 3)
    drawn = tick_notes(new, old.track, score)
    fine = [spec.fields.index(name) for name in ("offset", "duration_rest") if name in spec.fields]
    moved = changed[:, [POSITION, *fine[:1]]].any(axis=1)
    stretched = changed[:, [DURATION, *fine[1:]]].any(axis=1)
    passed_on = changed[:, [INSTRUMENT, PART_NUMBER]].any(axis=1)
    return TickNotes(
        np.where(passed_on, tracks_for(new, tracks), old.track),
        np.where(moved, drawn.time, exact[:, 0]),
        np.where(stretched, drawn.duration, exact[:, 1]),
        np.where(changed[:, PITCH], new.pitch, old.pitch),
        np.where(changed[:, VELOCITY], new.velocity, exact[:, 2]),
    )
