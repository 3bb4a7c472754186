"""Bars and tracks of a score made anew, with all else left note for note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from ondes.errors import UserError
from ondes.pipelines.composer_editing import (
    edited,
    find_track,
    track_instrument,
    tracks_with_notes,
    with_track,
)
from ondes.pipelines.composer_likeness import repeated
from ondes.pipelines.composer_loudness import with_loudness
from ondes.pipelines.composer_pieces import (
    Piece,
    Setting,
    noted,
    part_specs,
    parts_of,
    plain_velocity_of,
    tick_notes,
    tracks_for,
    tracks_of_parts,
    with_wishes,
)
from ondes.pipelines.composer_verbs import fill_in
from ondes.pipelines.composer_windows import Bars, drawing, empty_sequence, hidden_slots, notes_per_bar
from ondes.pipelines.composer_wishes import Wishes
from ondes.representations.bar_table import BarTable
from ondes.representations.note_conditions import conditions_of
from ondes.representations.note_sequence import PARTS, NoteSequence
from ondes.representations.note_tokens import NoteTokenSpec, Tokens, to_tokens

if TYPE_CHECKING:
    import symusic.core


def infilling(
    score: symusic.core.ScoreTick,
    wishes: Wishes,
    setting: Setting,
    *,
    bars: tuple[int, int] | None,
    track: int | None,
    seed: int,
) -> Piece:
    """A score of which some bars, a track, or a track in some bars are made anew.

    Notes that begin before the bars stay as they are, even where they last into them.

    Raises:
        UserError: If there are no such bars or track, or neither is given.
    """
    if bars is None and track is None:
        raise UserError("infilling needs to know what to make anew: give bars, or a track, or both")
    old = noted(score, setting, "fill in")
    first, last = _bar_range(bars, old.bars)
    index = None if track is None else find_track(score, track, may_add=wishes.ensemble is not None)
    is_new = index is not None and index == len(score.tracks)
    base = score if not is_new else with_track(score, *_new_part(wishes))
    begin, end = _region(old.bars, first, last, score)
    gone = _gone(base, begin, end, index)
    known = old.select(~_removed_rows(old, gone))
    pair = _own_pair(base, index, old, is_new=is_new)
    generator = drawing(seed, "slots")
    model = _example(old, index, is_new=is_new)
    like = repeated(model, first, last) if setting.alike and not is_new else empty_sequence(old.bars)
    if len(like):
        slot_bar, slots, likely = _slots_like(like, setting.spec)
    else:
        counts = notes_per_bar(model, first, last, generator=generator)
        slot_bar, likely = np.repeat(np.arange(first, last + 1), counts), None
        slots = hidden_slots(
            len(slot_bar), setting.spec, instrument=pair and pair[0], part_number=pair and pair[1]
        )
    plain = plain_velocity_of(score, old)
    windows = fill_in(
        known,
        slots,
        slot_bar,
        sizes=setting.sizes,
        spec=setting.spec,
        is_flat=plain is not None,
        likely=likely,
    )
    tracks = {pair: index} if pair is not None and index is not None else tracks_of_parts(old)

    def finish(new: NoteSequence) -> symusic.core.ScoreTick:
        if plain is not None:
            new = with_loudness(new, known, seed=seed, mean_velocity=plain)
        made = tick_notes(new, tracks_for(new, tracks), base)
        inside = replace(made, time=np.clip(made.time, begin, max(end - 1, begin)))
        return edited(base, removed=gone, added=inside)

    conditions = conditions_of(old)
    if pair is not None and is_new:
        conditions = replace(conditions, instruments=(*(conditions.instruments or ()), pair[0]))
    conditions = with_wishes(conditions, replace(wishes, ensemble=None))
    parts = part_specs(list(tracks))
    return Piece(windows, finish, conditions, parts, old.bars, wishes, seed, len(slot_bar))


def _slots_like(like: NoteSequence, spec: NoteTokenSpec) -> tuple[Bars, Tokens, Tokens]:
    """Bars of slots that belong to the parts of notes, their tokens, and those of the notes themselves."""
    tokens = to_tokens(like, spec=spec)
    is_part = np.isin(spec.fields, ("instrument", "part_number"))
    return like.bar, np.where(is_part, tokens, spec.hidden), tokens


def _bar_range(bars: tuple[int, int] | None, table: BarTable) -> tuple[int, int]:
    """First and last bar from 0; all of them where none are named.

    Raises:
        UserError: If the piece has no such bars.
    """
    if bars is None:
        return 0, len(table) - 1
    first, last = bars
    if not 1 <= first <= last:
        raise UserError(f"bars {first} to {last} are no range; give the first and the last one, from 1")
    if last > len(table):
        raise UserError(
            f"bars {first} to {last} are outside of the piece, which has {len(table)}; give bars from 1 to {len(table)}"
        )
    return first - 1, last - 1


def _region(table: BarTable, first: int, last: int, score: symusic.core.ScoreTick) -> tuple[int, int]:
    """Ticks of the beginning of the first bar and of the end of the last one."""
    end_quarters = table.start_quarters[last] + table.length_quarters[last]
    bounds = np.array([table.start_quarters[first], end_quarters]) * score.ticks_per_quarter
    begin, end = np.round(bounds).astype(np.int64).tolist()
    return begin, end


def _gone(
    score: symusic.core.ScoreTick, begin: int, end: int, index: int | None
) -> dict[int, Bool[np.ndarray, " notes"]]:
    """Notes that begin in a region, of one track or of all, by track."""
    chosen = tracks_with_notes(score) if index is None else [index]
    times = {number: score.tracks[number].notes.numpy()["time"].astype(np.int64) for number in chosen}
    return {number: (time >= begin) & (time < end) for number, time in times.items()}


def _removed_rows(
    sequence: NoteSequence, gone: Mapping[int, Bool[np.ndarray, " notes"]]
) -> Bool[np.ndarray, " rows"]:
    """Which notes of a sequence are among those that go."""
    removed = np.zeros(len(sequence), np.bool_)
    for track, mask in gone.items():
        own = sequence.track == track
        removed[own] = mask[sequence.index[own]]
    return removed


def _new_part(wishes: Wishes) -> tuple[int, str]:
    """Instrument and name of a new track.

    Raises:
        UserError: If it is not one part.
    """
    parts = wishes.ensemble or ()
    if len(parts) != 1:
        raise UserError(f"a new track is one part, not {len(parts)}: name one instrument, such as 'cello'")
    return parts[0].instrument, parts[0].name


def _own_pair(
    score: symusic.core.ScoreTick, index: int | None, old: NoteSequence, *, is_new: bool
) -> tuple[int, int] | None:
    """Instrument and part number of the track to fill; None for all tracks."""
    if index is None:
        return None
    instrument = track_instrument(score.tracks[index])
    if not is_new:
        return instrument, int(old.part_number[old.track == index][0])
    taken = [number for other, number in parts_of(old) if other == instrument]
    return instrument, min(max(taken, default=-1) + 1, PARTS - 1)


def _example(old: NoteSequence, index: int | None, *, is_new: bool) -> NoteSequence:
    """The notes whose number a bar is an example for new ones; for a new part, those of the middling track."""
    if index is None:
        return old
    if not is_new:
        return old.select(old.track == index)
    tracks, counts = np.unique(old.track, return_counts=True)
    middling = tracks[np.argsort(counts, kind="stable")[len(counts) // 2]]
    return old.select(old.track == middling)
