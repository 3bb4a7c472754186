"""Nine O'Clock Ferry: seventeen bars for drums, bass, electric piano, guitar and sax, written for ondes."""

from __future__ import annotations

import random
from collections.abc import Callable

from ondes.scores.notation import Page, melody, pitch, pitches, to_midi, waver

TEMPO_BPM = 96.0
BARS = 17

CHORDS = {
    "Am9": ("A1", "G3 B3 C4 E4", "C4 E4 A4"),
    "D13": ("D2", "F#3 B3 C4 E4", "C4 E4 F#4"),
    "Fmaj9": ("F1", "A3 C4 E4 G4", "C4 E4 A4"),
    "E7#9": ("E1", "G#3 B3 D4 G4", "D4 E4 G#4"),
    "G6": ("G1", "G3 B3 D4 E4", "D4 E4 B4"),
    "Em9": ("E1", "G3 B3 D4 F#4", "D4 E4 G4"),
    "Dm9": ("D2", "F3 A3 C4 E4", "C4 D4 F4"),
}
"""Root of the bass, voicing of the electric piano, voicing of the guitar."""

PROGRESSION = (
    *("Am9", "D13"),
    *("Am9", "D13", "Fmaj9", "E7#9"),
    *("Am9", "D13", "Fmaj9", "E7#9"),
    *("Fmaj9", "G6", "Em9", "Am9"),
    *("Dm9", "E7#9", "Am9"),
)

TUNE = {
    2: "r:.5 E5:.5 G5:.5 A5:1 r:.5 G5:.5 E5:.5",
    3: "F#5:1.5 E5:.5 D5:.5 B4:.5 r:1",
    4: "r:.5 A4:.5 C5:.5 E5:1 r:.5 D5:.5 C5:.5",
    5: "D5:.75 C5:.25 B4:1 G#4:.5 B4:.5 E5:1",
    6: "r:.5 E5:.5 G5:.5 A5:.75 B5:.25 C6:.5 B5:.5 A5:.5",
    7: "B5:1 A5:.5 F#5:1.5 r:1",
    8: "r:.5 A5:.5 G5:.5 E5:1 C5:.5 D5:.5 E5:.5",
    9: "D5:.5 C5:.5 B4:.5 C5:.5 A4:1.75 r:.25",
    10: "C6:1.5 B5:.5 A5:1 G5:.5 A5:.5",
    11: "B5:1.5 A5:.5 G5:1 E5:.5 G5:.5",
    12: "A5:.5 G5:1 E5:.5 D5:.5 E5:.5 G5:.75 r:.25",
    13: "E5:2.5 r:.5 C5:.5 D5:.5",
    14: "E5:.75 F5:.25 A5:1 G5:.5 F5:.5 E5:.5 D5:.5",
    15: "E5:.5 D5:.25 E5:.25 r:.5 B4:.5 C5:.5 D5:.5 D#5:.5 E5:.5",
    16: "A4:2.5",
}
"""The saxophone, by bar from 0."""

RIFF = "E2:.5 D2:.25 E2:.25 r:.5 B1:.5 C2:.5 D2:.5 D#2:.5 E2:.5"
"""The bass joins the saxophone two octaves and more below in the bar before the end."""

SCOOPED_LENGTH = 1.0
KICK, SNARE, CLOSED, OPEN, CRASH, RIDE = 36, 38, 42, 46, 49, 51
TOMS = (50, 48, 47, 45)

Hit = Callable[[float, int, float], None]
"""Strike at a beat, a drum, with a velocity."""


def band() -> bytes:
    """The whole piece as a Standard MIDI File of five tracks, about forty-two seconds long."""
    rng = random.Random(9)
    pages = [_drums(rng), _bass(rng), _keys(rng), _guitar(rng), _saxophone(rng)]
    return to_midi(pages, [(0.0, TEMPO_BPM), (62.0, 92.0), (63.0, 86.0), (64.0, 80.0)])


def _swung(beat: float) -> float:
    """Off-beat sixteenths come a little late."""
    return beat + (0.035 if round(beat * 4) % 2 else 0.0)


def _drums(rng: random.Random) -> Page:
    page = Page("Drums", 0, is_drum=True)
    page.control(0, 7, 120)

    def hit(beat: float, drum: int, velocity: float) -> None:
        page.note(_swung(beat) + waver(rng, 0.006), drum, 0.2, velocity + waver(rng, 3))

    for bar in range(BARS - 1):
        start, bridge = 4.0 * bar, 10 <= bar <= 13
        if bar in (2, 6, 10, 14):
            hit(start, CRASH, 92)
        if bar != 15:
            _beat(hit, start, bar, RIDE if bridge else CLOSED)
        if bar in (5, 9, 13):
            _fill(hit, start + 3)
    for beat, _, _ in melody(RIFF):
        hit(60 + beat, KICK, 96)
        hit(60 + beat, SNARE if beat in (1.5, 3.0, 3.5) else CLOSED, 78)
    for drum, velocity in ((KICK, 104), (CRASH, 98), (SNARE, 70)):
        hit(64, drum, velocity)
    return page


def _beat(hit: Hit, start: float, bar: int, cymbal: int) -> None:
    """One bar of the groove; in the first only hats and kick."""
    for beat, velocity in ((0.0, 104), (0.75, 72), (2.5, 96)) + (((3.75, 70),) if bar % 2 else ()):
        hit(start + beat, KICK, velocity)
    for eighth in range(8):
        if not (bar % 2 and eighth == 7):
            hit(start + eighth / 2, cymbal, 78 if eighth % 2 == 0 else 58)
    if bar % 2:
        hit(start + 3.5, OPEN, 74)
    hit(start + 1.75, cymbal, 40)
    if bar:
        for beat, velocity in ((1.0, 98), (3.0, 102), (1.75, 30), (2.25, 34)):
            hit(start + beat, SNARE, velocity)


def _fill(hit: Hit, start: float) -> None:
    """Four sixteenths down the toms."""
    for step, drum in enumerate(TOMS):
        hit(start + step / 4, drum, 80 + 6 * step)


def _bass(rng: random.Random) -> Page:
    page = Page("Bass", 33)
    page.control(0, 7, 106)

    def play(beat: float, number: int, length: float, velocity: float) -> None:
        page.note(_swung(beat) + waver(rng, 0.006), number, length, velocity + waver(rng, 3))

    for bar in range(1, BARS - 1):
        start = 4.0 * bar
        if bar == 15:
            for beat, number, length in melody(RIFF):
                play(start + beat, number, 0.9 * length, 98)
            continue
        root = pitch(CHORDS[PROGRESSION[bar]][0])
        following = pitch(CHORDS[PROGRESSION[bar + 1]][0])
        approach = following + (1 if following < root else -1)
        line = [
            (0.0, root, 0.7, 100),
            (0.75, root, 0.2, 74),
            (1.5, root + 12, 0.3, 88),
            (1.75, root + 7, 0.2, 70),
        ]
        line += [(2.5, root, 0.45, 94), (3.0, root + 7, 0.4, 80), (3.5, approach, 0.45, 86)]
        for beat, number, length, velocity in line:
            play(start + beat, number, length, velocity)
    play(64, pitch("A1"), 3.2, 100)
    return page


def _keys(rng: random.Random) -> Page:
    page = Page("Electric piano", 4)
    page.control(0, 7, 96)
    page.control(0, 10, 44)
    for bar in range(BARS - 2):
        hits = [(0.0, 1.2, 74), (1.5, 0.35, 62), (2.75, 0.9 if bar % 2 else 0.4, 68)]
        for beat, length, velocity in hits:
            _chord(
                page, 4.0 * bar + beat, CHORDS[PROGRESSION[bar]][1], length=length, velocity=velocity, rng=rng
            )
    _chord(page, 60, CHORDS["E7#9"][1], length=1.3, velocity=76, rng=rng)
    _chord(page, 64, "A2 G3 B3 C4 E4", length=3.4, velocity=80, rng=rng)
    page.control(64.05, 64, 127)
    page.control(67.6, 64, 0)
    return page


def _guitar(rng: random.Random) -> Page:
    page = Page("Guitar", 27)
    page.control(0, 7, 112)
    page.control(0, 10, 88)
    for bar in range(2, BARS - 2):
        long = 10 <= bar <= 13
        hits = [(1.0, 0.2, 92), (1.75, 0.18, 74), (3.0, 0.2, 96), (3.25, 0.15, 70)]
        if long:
            hits = [(0.0, 1.4, 80), (1.5, 0.4, 72), (2.0, 1.7, 78)]
        for beat, length, velocity in hits:
            _chord(
                page,
                4.0 * bar + beat,
                CHORDS[PROGRESSION[bar]][2],
                length=length,
                velocity=velocity,
                rng=rng,
                strum=0.018,
            )
    _chord(page, 64, "A3 E4 G4 B4 C5", length=3.2, velocity=82, rng=rng, strum=0.05)
    return page


def _chord(
    page: Page,
    beat: float,
    names: str,
    *,
    length: float,
    velocity: float,
    rng: random.Random,
    strum: float = 0.004,
) -> None:
    """All notes of a voicing, from the lowest up, `strum` beats apart."""
    start = _swung(beat) + waver(rng, 0.006)
    for voice, number in enumerate(pitches(names)):
        page.note(start + voice * strum, number, length, velocity + waver(rng, 3))


def _saxophone(rng: random.Random) -> Page:
    page = Page("Alto saxophone", 65)
    page.control(0, 7, 104)
    page.control(0, 10, 66)
    page.control(0, 11, 112)
    for bar, line in TUNE.items():
        for beat, number, length in melody(line):
            start = _swung(4.0 * bar + beat) + 0.01 + waver(rng, 0.008)
            accent = 6 if length >= SCOOPED_LENGTH else 0
            page.note(start, number, 0.93 * length, 82 + accent + waver(rng, 4))
            if length >= SCOOPED_LENGTH:
                _shape(page, start, length)
    return page


def _shape(page: Page, start: float, length: float) -> None:
    """A long note is scooped from below and swells."""
    for step, semitones in enumerate((-0.8, -0.5, -0.25, -0.1, 0.0)):
        page.bend(start + 0.03 * step, semitones)
    for step in range(9):
        page.control(start + step / 8 * 0.9 * length, 11, 94 + 26 * step / 8)
    page.control(start + 0.97 * length, 11, 112)
