"""What may be drawn for notes: who plays, where each can play, scale, chords, positions and density.

Each function gives a `Rule` (see `ondes.pipelines.composer_rules`), or where the network's own wishes count, a
`Constraint` that changes logits. `rules_for` puts together what one window needs. In which bar a slot lies is no rule:
such slots have their bar from the beginning (`ondes.representations.note_layout`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits
from ondes.pipelines.composer_rules import Allowed, Rule, Tokens, replaced
from ondes.representations.chords import ChordTrack
from ondes.representations.ensembles import PartSpec
from ondes.representations.keys import KRUMHANSL_KESSLER, Key
from ondes.representations.note_sequence import DRUMS, STEPS_PER_QUARTER
from ondes.representations.note_tokens import BAR, INSTRUMENT, PART_NUMBER, PITCH, POSITION, SIZES

ANY_CLASS = frozenset(range(12))


def rules_for(
    *,
    parts: Sequence[PartSpec] | None = None,
    classes: frozenset[int] = ANY_CLASS,
    chords: ChordTrack | None = None,
    bar_steps: Int[np.ndarray, " bars"] | None = None,
    first_bar: int = 0,
) -> tuple[Rule, ...]:
    """The rules of a window, the most important first.

    Args:
        parts: Who plays; without, anybody, each in its usual compass.
        classes: The scale that pitched notes must keep to.
        chords: Chords they must belong to; needs `bar_steps`.
        bar_steps: Length in steps of each bar from the window's first one; the last one repeats.
        first_bar: Index in the piece of the bar from which the window counts.
    """
    rules = [in_compass(parts)] if parts is None else [only_parts(parts), in_compass(parts)]
    if classes != ANY_CLASS:
        rules.append(in_scale(classes, parts))
    if chords is not None and bar_steps is not None:
        rules += in_chords(chords, bar_steps, first_bar, parts, classes=classes)
    return tuple(rules)


def only_parts(parts: Sequence[PartSpec]) -> Rule:
    """Instruments and part numbers are among the asked pairs."""
    pairs = torch.zeros(SIZES[INSTRUMENT], SIZES[PART_NUMBER], dtype=torch.bool)
    for part in parts:
        pairs[part.instrument, part.part_number] = True

    def allowed(tokens: Tensor) -> Allowed:
        table = pairs.to(tokens.device)
        # One more row for a hidden one, for which any of the asked will do.
        by_instrument = torch.cat([table, table.any(0, keepdim=True)])
        by_number = torch.cat([table.T, table.any(1)[None]])
        return {
            INSTRUMENT: by_number[tokens[..., PART_NUMBER]],
            PART_NUMBER: by_instrument[tokens[..., INSTRUMENT]],
        }

    return Rule(allowed, PART_NUMBER)


def in_compass(parts: Sequence[PartSpec] | None = None) -> Rule:
    """Pitches that the instrument has, and instruments that have the pitch, each where the other is known.

    Args:
        parts: Who plays; without, every General MIDI instrument does, each in its usual range.
    """
    return _playable(parts, _harmony_of(ANY_CLASS))


def in_scale(classes: frozenset[int], parts: Sequence[PartSpec] | None = None) -> Rule:
    """Pitched notes have one of these pitch classes; drums have any key.

    Args:
        classes: Pitch classes from C = 0.
        parts: As of `in_compass`, which this includes.
    """
    return _playable(parts, _harmony_of(classes))


def in_chords(
    chords: ChordTrack,
    bar_steps: Int[np.ndarray, " bars"],
    first_bar: int,
    parts: Sequence[PartSpec] | None = None,
    *,
    classes: frozenset[int] = ANY_CLASS,
) -> tuple[Rule, Rule]:
    """Pitched notes begin on a tone of the chord that holds there; drums have any key.

    Where the bar or position of a note is not known yet, a tone of any chord that it may come to lie in will do.

    Args:
        chords: By bars of the piece.
        bar_steps: Length in steps of each bar from the window's first one; the last one repeats.
        first_bar: Index in the piece of the bar from which the window counts.
        parts: As of `in_compass`, which this includes.
        classes: A scale in which the tones must lie besides.

    Returns:
        What the place allows for the pitch, and what the pitch allows for the position; to be used together.
    """
    tones = _ChordTones(chords, bar_steps, first_bar, classes)
    return _playable(parts, tones.of_places), Rule(tones.positions, POSITION)


def within_bars(bar_steps: Int[np.ndarray, " notes"]) -> Rule:
    """Positions are inside the bar.

    Args:
        bar_steps: Length in steps of each note's bar; of the longest that it may be in where that is not known.
    """
    inside = torch.arange(SIZES[POSITION]) < torch.from_numpy(np.ascontiguousarray(bar_steps))[:, None]

    def allowed(tokens: Tensor) -> Allowed:
        return {POSITION: inside.to(tokens.device).expand(len(tokens), -1, -1)}

    return Rule(allowed, POSITION)


def prefer_classes(classes: frozenset[int], *, bonus: float) -> Constraint:
    """Pitches of these classes are e^bonus times as likely; those of drums as far as the note is surely no drum."""
    return _favour(torch.tensor([bonus * (number in classes) for number in range(12)]))


def prefer_key(key: Key, *, bonus: float) -> Constraint:
    """Pitches are as much likelier as they fit a key, so that it is the one that is heard.

    The logarithm of a pitch class's probability grows by bonus times its standardised value in the profile of
    Krumhansl and Kessler, which is what `detect_key` compares with: 2.3 times the bonus for the tonic, minus once for
    the worst. A scale alone cannot tell a key from its relative one.
    """
    profile = np.roll(KRUMHANSL_KESSLER[int(key.mode == "minor")], key.tonic)
    standard = (profile - profile.mean()) / profile.std()
    return _favour(torch.from_numpy(bonus * standard).float())


def prefer_triplets(bonus: float) -> Constraint:
    """Places of triplets are e^bonus times as likely: thirds and sixths of a quarter note at which no sixteenth begins.

    Args:
        bonus: As a difference of logarithms; 0 leaves everything to the network.
    """
    place = torch.arange(SIZES[POSITION])
    sixth, sixteenth = STEPS_PER_QUARTER // 6, STEPS_PER_QUARTER // 4
    extra = bonus * ((place % sixth == 0) & (place % sixteenth != 0))

    def constrain(_: Tensor, logits: Logits) -> Logits:
        return replaced(logits, POSITION, logits[POSITION] + extra.to(logits[POSITION]))

    return constrain


def aim_at_bars(total: float, drawn: Bool[np.ndarray, " notes"]) -> Constraint:
    """The notes spread over so many bars: what a density asks for.

    That a note begins a later bar is made more or less likely wherever it is still hidden, by a factor e^lambda with
    one lambda for all of them, so that with the known ones the steps from bar to bar are expected to add up to the
    total. How many bars stay empty is left to the network: a factor that grew with the step, though closer to the
    network for the same mean, would rather leave out eight bars at once than make every bar a little thinner.

    Args:
        total: Bars from the window's first one to the last drawn note, such as notes / (density x bar length).
        drawn: Which notes count; steps of the others are taken as they are.
    """
    counted = torch.from_numpy(np.ascontiguousarray(drawn))

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        hidden = (tokens[..., BAR] >= SIZES[BAR]) & counted.to(tokens.device)
        known = torch.where(hidden | (tokens[..., BAR] >= SIZES[BAR]), 0, tokens[..., BAR]).sum(-1)
        tilt = _tilt(logits[BAR], hidden, (total - known).clamp(min=0.0))
        later = torch.arange(SIZES[BAR], device=tokens.device) > 0
        extra = tilt[:, None, None] * later * hidden[..., None]
        return replaced(logits, BAR, logits[BAR] + extra.to(logits[BAR]))

    return constrain


Harmony = Callable[[Tokens], Bool[Tensor, "batch notes 128"]]
"""Which pitches of pitched instruments are allowed where notes are."""


def _favour(extra: Float[Tensor, "12"]) -> Constraint:
    """Logits to be added to pitch classes, as far as the note is surely no drum."""
    by_pitch = extra[torch.arange(SIZES[PITCH]) % 12]

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        drum = torch.softmax(logits[INSTRUMENT], -1)[..., DRUMS]
        known = tokens[..., INSTRUMENT] < SIZES[INSTRUMENT]
        drum = torch.where(known, (tokens[..., INSTRUMENT] == DRUMS).to(drum), drum)
        added = (1 - drum)[..., None] * by_pitch.to(drum)
        return replaced(logits, PITCH, logits[PITCH] + added)

    return constrain


def _playable(parts: Sequence[PartSpec] | None, harmony: Harmony) -> Rule:
    """Pitches that some part which the note may belong to can play there, and parts that can play the pitch."""
    asked = [PartSpec("", program) for program in range(SIZES[INSTRUMENT])] if parts is None else parts
    reach = torch.zeros(len(asked), SIZES[PITCH])
    for row, part in zip(reach, asked, strict=True):
        row[part.low : part.high + 1] = 1.0
    instrument = torch.tensor([part.instrument for part in asked])
    number = torch.tensor([part.part_number for part in asked])
    is_drum = instrument == DRUMS
    member = torch.nn.functional.one_hot(instrument, SIZES[INSTRUMENT]).float()
    numbered = torch.nn.functional.one_hot(number, SIZES[PART_NUMBER]).float()
    if parts is None:
        numbered = torch.ones_like(numbered)

    def allowed(tokens: Tensor) -> Allowed:
        device = tokens.device
        fits_instrument = _fits(tokens[..., INSTRUMENT], instrument.to(device), SIZES[INSTRUMENT])
        fits_number = _fits(tokens[..., PART_NUMBER], number.to(device), SIZES[PART_NUMBER])
        if parts is None:
            fits_number = torch.ones_like(fits_number)
        inside = harmony(tokens)
        drum, can = is_drum.to(device), reach.to(device)
        candidates = fits_instrument & fits_number
        pitched = (candidates & ~drum).float() @ can > 0
        drums = (candidates & drum).float() @ can > 0
        # (batch, notes, parts): who can play the pitch; anybody where it is hidden
        pitch = tokens[..., PITCH].clamp(max=SIZES[PITCH] - 1)
        here = inside.gather(-1, pitch[..., None])
        able = (can.T[pitch] > 0) & (here | drum)
        able = able | (tokens[..., PITCH] >= SIZES[PITCH])[..., None]
        return {
            PITCH: (pitched & inside) | drums,
            INSTRUMENT: (able & fits_number).float() @ member.to(device) > 0,
            PART_NUMBER: (able & fits_instrument).float() @ numbered.to(device) > 0,
        }

    return Rule(allowed, PITCH)


def _fits(values: Tensor, wanted: Tensor, hidden: int) -> Tensor:
    """Which parts a note may belong to by one field (batch, notes, parts)."""
    return (values[..., None] == wanted) | (values[..., None] >= hidden)


def _harmony_of(classes: frozenset[int]) -> Harmony:
    """The same pitch classes everywhere."""
    inside = torch.tensor([pitch % 12 in classes for pitch in range(SIZES[PITCH])])
    return lambda tokens: inside.to(tokens.device).expand(*tokens.shape[:2], -1)


class _ChordTones:
    """Pitches by place and positions by pitch, for the bars of a window."""

    def __init__(
        self, chords: ChordTrack, bar_steps: Int[np.ndarray, " bars"], first_bar: int, classes: frozenset[int]
    ) -> None:
        self.chords, self.bar_steps, self.first_bar = chords, bar_steps, first_bar
        self.scale = torch.tensor([number in classes for number in range(12)])
        self.known: dict[tuple[int, int], Bool[Tensor, "positions 12"]] = {}
        period = range(first_bar, first_bar + len(chords.bars))
        steps = int(bar_steps[-1])
        self.anywhere = torch.stack([self.bar(bar, steps).any(0) for bar in period]).any(0)

    def bar(self, bar: int, steps: int) -> Bool[Tensor, "positions 12"]:
        """Classes by position in a bar of the piece."""
        key = (bar % len(self.chords.bars), steps)
        if key not in self.known:
            table = torch.from_numpy(self.chords.classes(*key, SIZES[POSITION]))
            self.known[key] = table & self.scale
        return self.known[key]

    def tables(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Classes by position of each note's bar (batch, notes, positions, 12), and whether its bar is known."""
        bar = absolute_bars(tokens)
        numbers, place = bar.cpu().unique(return_inverse=True)
        tables = []
        for number in numbers.tolist():
            steps = int(self.bar_steps[min(max(number, 0), len(self.bar_steps) - 1)])
            anywhere = self.anywhere.expand(SIZES[POSITION], -1)
            tables.append(anywhere if number < 0 else self.bar(self.first_bar + number, steps))
        return torch.stack(tables).to(tokens.device), place.to(tokens.device)

    def of_places(self, tokens: Tensor) -> Bool[Tensor, "batch notes 128"]:
        """Pitches that the place of each note allows, or some place that it may still get."""
        tables, place = self.tables(tokens)
        position = tokens[..., POSITION]
        here = tables[place, position.clamp(max=SIZES[POSITION] - 1)]
        whole = tables.any(1)[place]
        classes = torch.where((position >= SIZES[POSITION])[..., None], whole, here)
        return classes[..., torch.arange(SIZES[PITCH], device=tokens.device) % 12]

    def positions(self, tokens: Tensor) -> Allowed:
        """Positions at which a known pitch, that is surely no drum's, is a tone of the chord."""
        tables, place = self.tables(tokens)
        pitch, instrument = tokens[..., PITCH], tokens[..., INSTRUMENT]
        tones = tables.transpose(1, 2)[place, pitch % 12]
        open_ = (pitch >= SIZES[PITCH]) | (instrument == DRUMS) | (instrument >= SIZES[INSTRUMENT])
        return {POSITION: tones | open_[..., None]}


def absolute_bars(tokens: Tokens) -> Int[Tensor, "batch notes"]:
    """Bar of each note counted from the window's first one; -1 behind a note whose step is hidden."""
    steps = tokens[..., BAR]
    hidden = steps >= SIZES[BAR]
    bars = steps.masked_fill(hidden, 0).cumsum(-1)
    return torch.where(hidden.cumsum(-1) > 0, -1, bars)


def _tilt(
    logits: Float[Tensor, "batch notes steps"],
    hidden: Bool[Tensor, "batch notes"],
    total: Float[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """The lambda for which the hidden steps are expected to add up to the total; between -20 and 20."""
    logits = logits.double()
    # What is expected of a note is sigmoid(odds + lambda) times the length of its step if it makes one.
    odds = logits[..., 1:].logsumexp(-1) - logits[..., 0]
    steps = torch.arange(1, logits.shape[-1], device=logits.device, dtype=logits.dtype)
    length = torch.softmax(logits[..., 1:], -1) @ steps * hidden
    # In numpy, whose operations on so few numbers take a third of the time.
    each, lengths, wanted = (
        values.double().cpu().numpy() for values in (odds.clamp(-500, 500), length, total)
    )
    low, high = np.full_like(wanted, -20.0), np.full_like(wanted, 20.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = (lengths / (1 + np.exp(-each - middle[:, None]))).sum(-1) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return torch.from_numpy((low + high) / 2).to(logits.device)
