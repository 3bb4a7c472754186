"""Pieces in the making: what each verb does with a score before its windows are completed, and with the notes after."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from ondes.errors import UserError
from ondes.pipelines.composer_contradictions import check_wishes
from ondes.pipelines.composer_editing import (
    TickNotes,
    edited,
)
from ondes.pipelines.composer_loudness import with_loudness
from ondes.pipelines.composer_plans import plan_bars, write_plan
from ondes.pipelines.composer_verbs import WindowSizes, write_on
from ondes.pipelines.composer_windows import (
    Problem,
    drawing,
    empty_sequence,
    velocity_is_flat,
)
from ondes.pipelines.composer_wishes import Wishes
from ondes.representations.bar_table import BarTable
from ondes.representations.ensembles import PartSpec, parse_ensemble, with_two_hands
from ondes.representations.instrument_names import instrument_name
from ondes.representations.keys import Key, parse_key
from ondes.representations.metres import Metre, parse_metre
from ondes.representations.note_conditions import NoteConditions, conditions_of
from ondes.representations.note_sequence import (
    PLAIN_VELOCITY,
    NoteSequence,
    from_note_sequence,
    to_note_sequence,
)
from ondes.representations.note_tokens import (
    NoteTokenSpec,
    Tokens,
)
from ondes.score import read_score

if TYPE_CHECKING:
    import symusic.core

NOTES_A_BAR = 16
"""A guess, for progress bars alone."""


@dataclass(frozen=True)
class Setting:
    """What all verbs need to know of the model.

    Attributes:
        spec: Fields of its tokens.
        sizes: Of its windows.
        metre: Of new pieces where none is asked for.
        bpm: The same of the tempo.
        ensembles: New pieces take one of these where none is asked for; anybody plays where there are none.
        loud_styles: Asked for one of these, the network says how loud new notes are; else rules do.
        keys: New pieces for which neither a key nor chords are asked take one of these.
        densities: New pieces for which no density is asked take one of these, in notes a quarter; by the name of the
            ensemble, those of all others under "". Where the network decides in which bar a note is, pieces of a
            number of notes alone.
        alike: Whether bars that are filled in resemble those beside them.
        rhythms: New pieces take one of these as the likeness of the rhythm of neighbouring bars, see `prefer_rhythm`.
        triplets: The same of how much likelier places of triplets are, see `prefer_triplets`.
        spreads: New pieces take one of these as that of the notes of their bars, see `plan_bars`; without, the network
            decides in which bar a note is.
    """

    spec: NoteTokenSpec
    sizes: WindowSizes
    metre: Metre
    bpm: float
    ensembles: tuple[str, ...] = ()
    loud_styles: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    densities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    alike: bool = False
    rhythms: tuple[float, ...] = ()
    triplets: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()


def setting_of(config: Mapping[str, Any], spec: NoteTokenSpec) -> Setting:
    """What verbs need to know of a model with given settings, which are those of `ComposerPipeline`."""
    sizes = WindowSizes(int(config["window_notes"]), int(config["context_notes"]))
    names = ("loud_styles", "ensembles", "keys", "spreads", "rhythms", "triplets")
    lists: dict[str, Any] = {
        name: tuple(config[name if "_" in name else f"default_{name}"]) for name in names
    }
    densities = config["default_densities"]
    by_ensemble = densities if isinstance(densities, dict) else {"": densities}
    lists["densities"] = {name: tuple(own) for name, own in by_ensemble.items()}
    metre, bpm = parse_metre(config["default_metre"]), float(config["default_bpm"])
    return Setting(spec, sizes, metre, bpm, alike=bool(config["likeness"]), **lists)


@dataclass
class Piece:
    """A piece in the making.

    Attributes:
        windows: Asks for windows to be completed; returns what `finish` takes.
        finish: Makes the score.
        conditions: Known or wished of it.
        parts: Who may play new notes; None is anybody.
        bars: Its bars.
        wishes: What was asked for.
        seed: Its own.
        expected_notes: About how many have to be drawn.
        key_asked: Whether the key of the wishes is one, rather than the pipeline's own choice.
        rhythm: How much likelier onsets of a bar beside are, see `prefer_rhythm`.
        triplets: How much likelier places of triplets are, see `prefer_triplets`.
    """

    windows: Generator[Problem, Tokens, Any]
    finish: Callable[[Any], symusic.core.ScoreTick]
    conditions: NoteConditions
    parts: tuple[PartSpec, ...] | None
    bars: BarTable
    wishes: Wishes
    seed: int
    expected_notes: int
    key_asked: bool = True
    rhythm: float = 0.0
    triplets: float = 0.0


def new_piece(wishes: Wishes, setting: Setting, *, notes: int | None, bars: int | None, seed: int) -> Piece:
    """A piece from nothing, of so many notes or bars.

    Raises:
        UserError: If the wishes contradict each other.
    """
    wishes = replace(wishes, ensemble=_players(wishes, setting, seed))
    metre, bpm = wishes.metre or setting.metre, wishes.bpm or setting.bpm
    check_wishes(
        parts=wishes.ensemble,
        key=wishes.key,
        strict_scale=wishes.strict_scale,
        chords=wishes.chords,
        notes=notes,
        bar_quarters=metre.bar_quarters,
    )
    table = BarTable.constant(1, numerator=metre.numerator, denominator=metre.denominator, bpm=bpm)
    key_asked = wishes.key is not None
    wishes = replace(wishes, key=_home_key(wishes, setting, seed))
    if notes is not None or setting.spreads:
        wishes = replace(wishes, density=_home_density(wishes, setting, seed))
    parts = wishes.ensemble
    by_rules = wishes.style not in setting.loud_styles
    must_play = [(part.instrument, part.part_number) for part in parts or ()]
    counts = _bar_counts(wishes, setting, metre, notes=notes, bars=bars, seed=seed)
    how: dict[str, Any] = {
        "sizes": setting.sizes,
        "spec": setting.spec,
        "must_play": must_play,
        "is_flat": by_rules,
    }
    if counts is None:
        windows = write_on(empty_sequence(table), notes=notes, end_bar=bars, **how)
    else:
        windows = write_plan(table, counts, **how)

    def finish(music: NoteSequence) -> symusic.core.ScoreTick:
        return _written(with_loudness(music, seed=seed) if by_rules else music, wishes, bars)

    conditions = with_wishes(NoteConditions(metre=metre, tempo_bpm=bpm), wishes)
    expected = notes if notes is not None else NOTES_A_BAR * (bars or 0)
    expected = expected if counts is None else int(counts.sum())
    rhythm, triplets = (
        own[drawing(seed, word).integers(len(own))] if own else 0.0
        for word, own in (("rhythm", setting.rhythms), ("triplets", setting.triplets))
    )
    return Piece(
        windows, finish, conditions, parts, table, wishes, seed, expected, key_asked, rhythm, triplets
    )


def _players(wishes: Wishes, setting: Setting, seed: int) -> tuple[PartSpec, ...] | None:
    """Who plays a new piece; a keyboard or harp has a part for each hand, as in engraved music."""
    parts = wishes.ensemble
    if parts is None and setting.ensembles:
        parts = parse_ensemble(setting.ensembles[drawing(seed, "ensemble").integers(len(setting.ensembles))])
    return None if parts is None else with_two_hands(parts)


def _home_key(wishes: Wishes, setting: Setting, seed: int) -> Key | None:
    """The key of a new piece: a plan that all its notes follow, where the network alone would begin in all at once."""
    if wishes.key is not None or wishes.chords is not None or not setting.keys:
        return wishes.key
    return parse_key(setting.keys[drawing(seed, "key").integers(len(setting.keys))])


def _home_density(wishes: Wishes, setting: Setting, seed: int) -> float | None:
    """How many notes a quarter a new piece has, planned for the same reason."""
    if wishes.density is not None:
        return wishes.density
    named = (name for name in setting.densities if name)
    known = (name for name in named if with_two_hands(parse_ensemble(name)) == wishes.ensemble)
    densities = setting.densities.get(next(known, ""), ())
    return densities[drawing(seed, "density").integers(len(densities))] if densities else None


def _bar_counts(
    wishes: Wishes, setting: Setting, metre: Metre, *, notes: int | None, bars: int | None, seed: int
) -> Int64[np.ndarray, " bars"] | None:
    """How many notes each bar of a new piece has; None where the network decides."""
    if wishes.density is None or not setting.spreads:
        return None
    generator = drawing(seed, "bars")
    return plan_bars(
        notes=notes,
        bars=bars,
        density=wishes.density,
        spread=generator.choice(setting.spreads).item(),
        bar_quarters=metre.bar_quarters,
        generator=generator,
    )


def with_wishes(conditions: NoteConditions, wishes: Wishes) -> NoteConditions:
    """Conditions of which those that were asked for are as asked.

    Raises:
        UserError: If chords, scale and key contradict each other.
    """
    asked = {"key": wishes.key, "density_per_quarter": wishes.density, "style": wishes.style}
    changed = {name: value for name, value in asked.items() if value is not None}
    if wishes.ensemble is not None:
        changed["instruments"] = tuple(part.instrument for part in wishes.ensemble)
    wanted = replace(conditions, bars=None, **changed)
    check_wishes(key=wanted.key, strict_scale=wishes.strict_scale, chords=wishes.chords)
    return wanted


def _written(music: NoteSequence, wishes: Wishes, bars: int | None) -> symusic.core.ScoreTick:
    """The score of a new piece."""
    count = bars if bars is not None else int(music.bar.max(initial=0)) + 1
    music = replace(music, bars=music.bars.extended(count).window(0, count))
    names = {
        (instrument, number): f"{instrument_name(instrument)}{f' {number + 1}' if number else ''}"
        for instrument, number in parts_of(music)
    }
    names |= {(part.instrument, part.part_number): part.name for part in wishes.ensemble or ()}
    score = from_note_sequence(music, names=names, key=wishes.key)
    everything = {index: np.ones(len(track.notes), np.bool_) for index, track in enumerate(score.tracks)}
    return edited(score, removed=everything, added=_notes_of(score))


def _notes_of(score: symusic.core.ScoreTick) -> TickNotes:
    """All notes of a score."""
    tables = [track.notes.numpy() for track in score.tracks]
    columns = [
        np.concatenate([np.zeros(0, np.int64), *(table[name].astype(np.int64) for table in tables)])
        for name in ("time", "duration", "pitch", "velocity")
    ]
    counts = np.array([len(table["time"]) for table in tables], np.int64)
    return TickNotes(np.repeat(np.arange(len(tables)), counts), *columns)


def parts_of(sequence: NoteSequence) -> list[tuple[int, int]]:
    """Instruments and part numbers that play, in order."""
    if not len(sequence):
        return []
    found = np.unique(np.stack([sequence.instrument, sequence.part_number], axis=1), axis=0)
    return [(instrument, number) for instrument, number in found.tolist()]


def tracks_of_parts(sequence: NoteSequence) -> dict[tuple[int, int], int]:
    """The first track of each instrument and part number."""
    tracks: dict[tuple[int, int], int] = {}
    columns = zip(sequence.instrument, sequence.part_number, sequence.track, strict=True)
    for instrument, number, track in columns:
        pair = (int(instrument), int(number))
        tracks[pair] = min(int(track), tracks.get(pair, int(track)))
    return tracks


def tracks_for(notes: NoteSequence, tracks: Mapping[tuple[int, int], int]) -> Int64[np.ndarray, " notes"]:
    """The track of each note: that of its part, or of the nearest part of its instrument."""
    found = []
    for instrument, number in zip(notes.instrument.tolist(), notes.part_number.tolist(), strict=True):
        same = [pair for pair in tracks if pair[0] == instrument] or list(tracks)
        found.append(tracks[min(same, key=lambda pair: abs(pair[1] - number))])
    return np.array(found, np.int64)


def part_specs(pairs: list[tuple[int, int]]) -> tuple[PartSpec, ...]:
    """Parts by instrument and part number."""
    return tuple(PartSpec(instrument_name(instrument), instrument, number) for instrument, number in pairs)


def noted(score: symusic.core.ScoreTick, setting: Setting, what: str) -> NoteSequence:
    """The notes of a score.

    Raises:
        UserError: If there are none.
    """
    if not score.note_num():
        raise UserError(f"the score has no notes, so there is nothing to {what}; give one that has")
    return to_note_sequence(score, quantise=not setting.spec.unquantised)


def _ticks(
    values_quarters: Float64[np.ndarray, " notes"], score: symusic.core.ScoreTick
) -> Int64[np.ndarray, " notes"]:
    return np.round(values_quarters * score.ticks_per_quarter).astype(np.int64)


def tick_notes(
    notes: NoteSequence, track: Int64[np.ndarray, " notes"], score: symusic.core.ScoreTick
) -> TickNotes:
    """Drawn notes in the ticks of a score."""
    onset = _ticks(notes.onset_quarters, score)
    duration = np.maximum(_ticks(notes.duration_quarters, score), 1)
    return TickNotes(track, onset, duration, notes.pitch, notes.velocity)


def plain_velocity_of(score: symusic.core.ScoreTick, sequence: NoteSequence) -> int | None:
    """The commonest velocity of a score that says nothing about loudness; None for others."""
    if not velocity_is_flat(sequence):
        return None
    found = np.concatenate([track.notes.numpy()["velocity"] for track in score.tracks if len(track.notes)])
    return int(np.bincount(found).argmax()) if len(found) else PLAIN_VELOCITY


def extension(
    score: symusic.core.ScoreTick,
    wishes: Wishes,
    setting: Setting,
    *,
    notes: int | None,
    bars: int | None,
    seed: int,
) -> Piece:
    """A score that goes on for so many notes or bars in its tempo, metre and instruments.

    Raises:
        UserError: If there is nothing to go on from.
    """
    music = noted(score, setting, "continue")
    tracks, plain = tracks_of_parts(music), plain_velocity_of(score, music)
    recent = music.select(np.arange(max(0, len(music) - setting.sizes.context), len(music)))
    windows = write_on(
        music,
        notes=notes,
        end_bar=None if bars is None else music.bar.item(-1) + 1 + bars,
        sizes=setting.sizes,
        spec=setting.spec,
        is_flat=plain is not None,
    )

    def finish(whole: NoteSequence) -> symusic.core.ScoreTick:
        new = whole.select(whole.index < 0)
        if plain is not None:
            new = with_loudness(new, whole.select(whole.index >= 0), seed=seed, mean_velocity=plain)
        return edited(score, added=tick_notes(new, tracks_for(new, tracks), score))

    conditions = replace(conditions_of(recent), instruments=conditions_of(music).instruments)
    expected = notes if notes is not None else NOTES_A_BAR * (bars or 0)
    parts = part_specs(list(tracks))
    return Piece(windows, finish, with_wishes(conditions, wishes), parts, music.bars, wishes, seed, expected)


def scores_of(score: Any) -> list[symusic.core.ScoreTick]:
    """One score or a list of such, read."""
    return [read_score(one) for one in (score if isinstance(score, list) else [score])]


def as_given(score: Any, made: list[symusic.core.ScoreTick]) -> Any:
    """A list where one was given, else the one that was made."""
    return made if isinstance(score, list) else made[0]
