"""Drum grooves: patterns of sixteenths for several styles, with fills, crashes and every piece of the kit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KICKS, SNARES, SIDE_STICK, CLAP = (35, 36), (38, 40), 37, 39
CLOSED_HAT, PEDAL_HAT, OPEN_HAT = 42, 44, 46
RIDES, CRASHES = (51, 53, 59), (49, 57, 52, 55)
TOMS = (50, 48, 47, 45, 43, 41)
"""High to low."""
COLOURS = (54, 56, 58, *range(60, 82))
"""Tambourine, cowbell, vibraslap, and the hand percussion of General MIDI."""

SWING = 0.33
"""How far into the next sixteenth pair an off-beat is moved by full swing, as a share of an eighth."""


@dataclass(frozen=True)
class Groove:
    """One bar of sixteenths a voice: `x` is a stroke, `X` an accent, `o` a soft (ghost) one.

    `time` is what the timekeeper (hat, ride or a colour) plays.
    """

    kick: str
    snare: str
    time: str
    swing: float = 0.0
    side_stick: bool = False


GROOVES = {
    "rock": Groove("X.......x.x.....", "....X.......X...", "x.x.x.x.x.x.x.x."),
    "four": Groove("X...X...X...X...", "....X.......X...", "..X...X...X...X."),
    "funk": Groove("X..x..x...x..x..", "....X..o.o..X..o", "xoxoxoxoxoxoxoxo"),
    "half-time": Groove("X.....x...x.....", "........X.......", "x.x.x.x.x.x.x.x."),
    "metal": Groove("xxxxxxxxxxxxxxxx", "....X.......X...", "X...X...X...X..."),
    "punk": Groove("X..xX..xX..xX..x", "..X...X...X...X.", "x.x.x.x.x.x.x.x."),
    "swing": Groove("o...o...o...o...", "......o.....o...", "X...x.x.X...x.x.", swing=1.0),
    "shuffle": Groove("X.....x.X.......", "....X.......X...", "x.x.x.x.x.x.x.x.", swing=1.0),
    "bossa": Groove("X.....xxX.....xx", "x..x..x...x..x..", "xoxoxoxoxoxoxoxo", side_stick=True),
    "samba": Groove("X..xX..xX..xX..x", "x.x..x.x.x.x..x.", "xoxxxoxxxoxxxoxx"),
    "march": Groove("X...X...X...X...", "x.oox.oox.xxX.oo", "........X......."),
    "waltz": Groove("X...........", "....x...x...", "x...x...x..."),
    "waltz-rock": Groove("X.....x.....", "....X...X...", "x.x.x.x.x.x."),
    "reggae": Groove("........X.......", "........X.......", "x.xox.xox.xox.xo", side_stick=True),
    "breakbeat": Groove("X.x.......xx....", "....X..o.o..X..o", "x.x.x.x.x.x.x.x."),
}

STRENGTH = {"x": 88.0, "X": 110.0, "o": 50.0}

Stroke = tuple[float, int, float]
"""Time in seconds, drum, velocity."""


def groove_strokes(
    generator: np.random.Generator, *, beat_s: float, start_s: float, end_s: float, beats_a_bar: int = 4
) -> list[Stroke]:
    """A drum part between two times.

    Args:
        generator: Draws the style, the kit, fills every four or eight bars, crashes after them, omissions.
        beat_s: Length of a quarter note.
        start_s: First beat of the first bar.
        end_s: Nothing is struck from here on.
        beats_a_bar: 3 takes a waltz, everything else four beats.
    """
    names = [name for name in GROOVES if name.startswith("waltz") == (beats_a_bar == 3)]
    groove = GROOVES[str(generator.choice(names))]
    kit = _Kit.draw(generator, groove)
    fill_every = int(generator.choice([4, 8]))
    steps = len(groove.time)
    bar_s = steps * beat_s / 4
    strokes: list[Stroke] = []
    for bar in range(max(0, int(np.ceil((end_s - start_s) / bar_s)))):
        fill = bar % fill_every == fill_every - 1
        pattern = _bar(groove, kit, generator, crash=bar % fill_every == 0)
        if fill:
            cut = steps - int(generator.choice([4, 8, 8]))
            pattern = [stroke for stroke in pattern if stroke[0] < cut] + _fill(generator, cut, steps)
        for step, drum, strength in pattern:
            late = groove.swing * SWING * 2 * (step % 4 == 2)
            time_s = start_s + bar * bar_s + (step + late) * beat_s / 4
            strokes.append((time_s, drum, strength))
    return [stroke for stroke in strokes if start_s <= stroke[0] < end_s]


@dataclass(frozen=True)
class _Kit:
    """Which drum plays each voice of a groove."""

    kick: int
    snare: int
    time: int
    open_time: int
    crash: int
    colour: int | None

    @classmethod
    def draw(cls, generator: np.random.Generator, groove: Groove) -> _Kit:
        snare = SIDE_STICK if groove.side_stick else int(generator.choice([*SNARES, *SNARES, CLAP]))
        time = int(generator.choice([CLOSED_HAT] * 4 + [PEDAL_HAT, *RIDES, *COLOURS[:2], 70, 82, 69]))
        return cls(
            kick=int(generator.choice(KICKS)),
            snare=snare,
            time=time,
            open_time=OPEN_HAT if time == CLOSED_HAT else time,
            crash=int(generator.choice(CRASHES)),
            colour=int(generator.choice(COLOURS)) if generator.random() < 0.4 else None,
        )


def _bar(
    groove: Groove, kit: _Kit, generator: np.random.Generator, *, crash: bool
) -> list[tuple[int, int, float]]:
    strokes = []
    for drum, line, omit in (
        (kit.kick, groove.kick, 0.05),
        (kit.snare, groove.snare, 0.02),
        (kit.time, groove.time, 0.05),
    ):
        for step, mark in enumerate(line):
            if mark != "." and generator.random() >= omit:
                opened = drum == kit.time and generator.random() < 0.06
                strokes.append((step, kit.open_time if opened else drum, STRENGTH[mark]))
    if crash and generator.random() < 0.8:
        strokes.append((0, kit.crash, 105.0))
    if kit.colour is not None:
        steps = generator.choice(len(groove.time), int(generator.integers(1, 6)), replace=False)
        strokes += [(int(step), kit.colour, 80.0) for step in steps]
    return strokes


def _fill(generator: np.random.Generator, start: int, end: int) -> list[tuple[int, int, float]]:
    """Down the toms, with the snare between."""
    steps = [step for step in range(start, end) if generator.random() < 0.8]
    path = np.sort(generator.integers(0, len(TOMS), len(steps)))
    drums = [38 if generator.random() < 0.25 else TOMS[tom] for tom in path]
    return [
        (step, drum, 75.0 + 30.0 * (step - start) / (end - start))
        for step, drum in zip(steps, drums, strict=True)
    ]
