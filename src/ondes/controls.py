"""What a part's controllers say over time: loudness, place, bend and pedals.

Controller numbers and defaults are those of MIDI 1.0 and General MIDI level 1; the loudness law is that of
the MMA's "General MIDI Level 1 Developer Guidelines", 40 log10(volume / 127), moved so that the default is at
0 dB.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import ArrayLike

VOLUME, PAN, EXPRESSION, SUSTAIN, SOSTENUTO, RESET_ALL = 7, 10, 11, 64, 66, 121
DATA_COARSE, DATA_FINE, RPN_FINE, RPN_COARSE = 6, 38, 100, 101
NRPN_FINE, NRPN_COARSE = 98, 99

DEFAULT_VOLUME, DEFAULT_PAN, DEFAULT_EXPRESSION = 100, 64, 127
DEFAULT_BEND_RANGE = 2.0
"""Semitones at a full bend, until registered parameter 0 says otherwise."""
LEAST_GAIN_DB = -60.0
PEDAL_DOWN = 64
"""Smallest value of a pedal controller that counts as down."""


@dataclass(frozen=True, eq=False)
class Steps:
    """A number that changes at given times and stays in between.

    Args:
        times_s: When it changes, ascending, (events,); of several changes at one time the last counts.
        values: What it changes to, (events,).
        initial: What it is before the first change.
    """

    times_s: Float64[np.ndarray, " events"]
    values: Float64[np.ndarray, " events"]
    initial: float

    @classmethod
    def constant(cls, value: float) -> Steps:
        """A number that never changes."""
        return cls(np.zeros(0), np.zeros(0), value)

    def __call__(self, times_s: ArrayLike) -> Float64[np.ndarray, "*times"]:
        """The value at each time, changes at that very time included; the shape is kept."""
        changes = np.searchsorted(self.times_s, np.asarray(times_s, np.float64), side="right")
        return np.asarray(np.concatenate([[self.initial], self.values])[changes])

    def shifted(self, shift_s: float) -> Steps:
        """The same changes, later by `shift_s`."""
        return Steps(self.times_s + shift_s, self.values, self.initial)


@dataclass(frozen=True, eq=False)
class Controls:
    """The controllers of one part as functions of time, which take and give arrays.

    `volume`, `expression`, `pan_position`, `sustain` and `sostenuto` are raw values from 0 to 127, `bend` is
    in semitones with the bend range applied.
    """

    volume: Steps = field(default_factory=lambda: Steps.constant(DEFAULT_VOLUME))
    expression: Steps = field(default_factory=lambda: Steps.constant(DEFAULT_EXPRESSION))
    pan_position: Steps = field(default_factory=lambda: Steps.constant(DEFAULT_PAN))
    bend: Steps = field(default_factory=lambda: Steps.constant(0.0))
    sustain: Steps = field(default_factory=lambda: Steps.constant(0.0))
    sostenuto: Steps = field(default_factory=lambda: Steps.constant(0.0))

    def gain_db(self, times_s: ArrayLike) -> Float64[np.ndarray, "*times"]:
        """Gain of volume (CC7) and expression (CC11): 0 dB at 100 and 127, never below -60 dB."""
        gain = self.volume(times_s) / DEFAULT_VOLUME * self.expression(times_s) / DEFAULT_EXPRESSION
        return np.asarray(40 * np.log10(np.maximum(gain, 10 ** (LEAST_GAIN_DB / 40))))

    def pan(self, times_s: ArrayLike) -> Float64[np.ndarray, "*times"]:
        """Place between left (-1) and right (1), by CC10."""
        return np.asarray(np.maximum((self.pan_position(times_s) - DEFAULT_PAN) / 63, -1))

    def bend_semitones(self, times_s: ArrayLike) -> Float64[np.ndarray, "*times"]:
        """How far the pitch is bent."""
        return self.bend(times_s)

    def pedal(self, times_s: ArrayLike) -> Bool[np.ndarray, "*times"]:
        """Whether the sustain pedal (CC64) is down."""
        return np.asarray(self.sustain(times_s) >= PEDAL_DOWN)

    def shifted(self, shift_s: float) -> Controls:
        """The same changes, later by `shift_s`."""
        return Controls(**{name: steps.shifted(shift_s) for name, steps in vars(self).items()})


def controls_from_events(
    times_s: Float64[np.ndarray, " events"],
    numbers: Int64[np.ndarray, " events"],
    values: Int64[np.ndarray, " events"],
    bend_times_s: Float64[np.ndarray, " bends"],
    bends: Int64[np.ndarray, " bends"],
) -> Controls:
    """Controls from the controller events of a part.

    "Reset all controllers" (CC121) sets expression, pedals and bend back, and leaves volume and pan, as
    MIDI's recommended practice RP-015 says.

    Args:
        times_s: Time of each controller event, ascending, (events,).
        numbers: Controller numbers, (events,).
        values: Controller values from 0 to 127, (events,).
        bend_times_s: Time of each pitch bend, ascending, (bends,).
        bends: Pitch bends from -8192 to 8191, (bends,).
    """

    def steps(number: int, initial: float, *, resets: bool) -> Steps:
        chosen = (numbers == number) | (resets & (numbers == RESET_ALL))
        chosen_values = np.where(numbers == number, values, initial)[chosen]
        return Steps(times_s[chosen], chosen_values.astype(np.float64), initial)

    return Controls(
        volume=steps(VOLUME, DEFAULT_VOLUME, resets=False),
        expression=steps(EXPRESSION, DEFAULT_EXPRESSION, resets=True),
        pan_position=steps(PAN, DEFAULT_PAN, resets=False),
        bend=_bend(times_s, numbers, values, bend_times_s, bends),
        sustain=steps(SUSTAIN, 0, resets=True),
        sostenuto=steps(SOSTENUTO, 0, resets=True),
    )


def _bend(
    times_s: Float64[np.ndarray, " events"],
    numbers: Int64[np.ndarray, " events"],
    values: Int64[np.ndarray, " events"],
    bend_times_s: Float64[np.ndarray, " bends"],
    bends: Int64[np.ndarray, " bends"],
) -> Steps:
    """Bend in semitones: the wheel times the range in force."""
    resets = times_s[numbers == RESET_ALL]
    wheel_times = np.concatenate([resets, bend_times_s])
    order = np.argsort(wheel_times, kind="stable")
    wheel_values = np.concatenate([np.zeros(len(resets)), bends.astype(np.float64)])[order]
    wheel = Steps(wheel_times[order], wheel_values, 0.0)
    ranges = _bend_range(times_s, numbers, values)
    changes = np.unique(np.concatenate([wheel.times_s, ranges.times_s]))
    return Steps(changes, wheel(changes) / 8192 * ranges(changes), 0.0)


def _bend_range(
    times_s: Float64[np.ndarray, " events"],
    numbers: Int64[np.ndarray, " events"],
    values: Int64[np.ndarray, " events"],
) -> Steps:
    """Semitones at a full bend: data entry while registered parameter 0 is selected."""
    chosen = np.isin(numbers, (DATA_COARSE, DATA_FINE, RPN_FINE, RPN_COARSE, NRPN_FINE, NRPN_COARSE))
    semitones, cents = DEFAULT_BEND_RANGE, 0.0
    selected = {RPN_COARSE: 127, RPN_FINE: 127}
    changes: list[tuple[float, float]] = []
    for time_s, number, value in zip(
        times_s[chosen].tolist(), numbers[chosen].tolist(), values[chosen].tolist(), strict=True
    ):
        if number in selected:
            selected[number] = value
        elif number in (NRPN_FINE, NRPN_COARSE):
            selected = {RPN_COARSE: 127, RPN_FINE: 127}
        elif not any(selected.values()):
            semitones, cents = (float(value), cents) if number == DATA_COARSE else (semitones, float(value))
            changes.append((time_s, semitones + cents / 100))
    table = np.array(changes, np.float64).reshape(-1, 2)
    return Steps(table[:, 0], table[:, 1], DEFAULT_BEND_RANGE)


def pedalled_ends(
    onsets: Int64[np.ndarray, " notes"],
    ends: Int64[np.ndarray, " notes"],
    pitches: Int64[np.ndarray, " notes"],
    *,
    sustain: tuple[Int64[np.ndarray, " moves"], Bool[np.ndarray, " moves"]],
    sostenuto: tuple[Int64[np.ndarray, " turns"], Bool[np.ndarray, " turns"]],
    last: int,
) -> Int64[np.ndarray, " notes"]:
    """When the notes of one part stop, pedals counted as fingers.

    A key that comes up while the sustain pedal is down sounds until that comes up. The sostenuto pedal does
    so for the keys that were down when it was pressed. Striking the pitch again ends what pedals hold.

    Args:
        onsets: Beginnings of the notes in ticks, (notes,).
        ends: When their keys come up, (notes,).
        pitches: Their pitches, (notes,).
        sustain: Times of the sustain pedal's events, ascending, and whether each puts it down.
        sostenuto: The same of the sostenuto pedal.
        last: End of the piece, where a pedal that is still down comes up.

    Returns:
        Ends in ticks, never before `ends`, (notes,).
    """
    presses, lifts = _pedal_moves(*sostenuto)
    pressed_at = np.concatenate([[-1], presses])[np.searchsorted(presses, ends, side="right")]
    held = _next_lift(presses, lifts, ends, last)
    held = np.where((onsets <= pressed_at) & (pressed_at < ends), held, ends)
    held = _next_lift(*_pedal_moves(*sustain), held, last)
    return np.maximum(ends, np.minimum(held, _next_strikes(onsets, pitches)))


def _pedal_moves(
    times: Int64[np.ndarray, " moves"], down: Bool[np.ndarray, " moves"]
) -> tuple[Int64[np.ndarray, " presses"], Int64[np.ndarray, " lifts"]]:
    """When a pedal goes down and when it comes up, in turns; it begins up."""
    before = np.concatenate([[False], down[:-1]]) if len(down) else down
    return times[down & ~before], times[~down & before]


def _next_lift(
    presses: Int64[np.ndarray, " presses"],
    lifts: Int64[np.ndarray, " lifts"],
    times: Int64[np.ndarray, " notes"],
    last: int,
) -> Int64[np.ndarray, " notes"]:
    """Where the pedal is down, when it next comes up; otherwise the times themselves."""
    lifted = np.searchsorted(lifts, times, side="right")
    down = np.searchsorted(presses, times, side="right") > lifted
    return np.where(down, np.concatenate([lifts, [last]])[lifted], times)


def _next_strikes(
    onsets: Int64[np.ndarray, " notes"], pitches: Int64[np.ndarray, " notes"]
) -> Int64[np.ndarray, " notes"]:
    """When each note's pitch is struck next after its own onset; far in the future if never."""
    keys = pitches << 40 | onsets
    strikes = np.concatenate([np.unique(keys), [np.iinfo(np.int64).max]])
    following = strikes[np.searchsorted(strikes, keys, side="right")]
    return np.where(following >> 40 == pitches, following & (1 << 40) - 1, np.iinfo(np.int64).max)
