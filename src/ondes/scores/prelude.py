"""Bach's Prelude in C major, BWV 846, from its harmonic scheme, played with a little human unevenness.

Thirty-two of its thirty-five bars are one figure over five notes, so the piece is written here as five
notes a bar. The notes are those of the usual editions (without the bar that Schwencke added after bar 22);
tempo, touch and pedal are ours.
"""

from __future__ import annotations

import math
import random

from ondes.scores.notation import Page, pitch, pitches, to_midi, waver

HARMONIES = """
C4 E4 G4 C5 E5 | C4 D4 A4 D5 F5 | B3 D4 G4 D5 F5 | C4 E4 G4 C5 E5 |
C4 E4 A4 E5 A5 | C4 D4 F#4 A4 D5 | B3 D4 G4 D5 G5 | B3 C4 E4 G4 C5 |
A3 C4 E4 G4 C5 | D3 A3 D4 F#4 C5 | G3 B3 D4 G4 B4 | G3 Bb3 E4 G4 C#5 |
F3 A3 D4 A4 D5 | F3 Ab3 D4 F4 B4 | E3 G3 C4 G4 C5 | E3 F3 A3 C4 F4 |
D3 F3 A3 C4 F4 | G2 D3 G3 B3 F4 | C3 E3 G3 C4 E4 | C3 G3 Bb3 C4 E4 |
F2 F3 A3 C4 E4 | F#2 C3 A3 C4 Eb4 | Ab2 F3 B3 C4 D4 | G2 F3 G3 B3 D4 |
G2 E3 G3 C4 E4 | G2 D3 G3 C4 F4 | G2 D3 G3 B3 F4 | G2 Eb3 A3 C4 F#4 |
G2 E3 G3 C4 G4 | G2 D3 G3 C4 F4 | G2 D3 G3 B3 F4 | C2 C3 G3 Bb3 E4
"""
"""Bars 1 to 32, five notes each: the bass, the tenor and the three notes of the right hand."""

CLOSING = (
    ("C2", "C3", "F3 A3 C4 F4 C4 A3 C4 A3 F3 A3 F3 D3 F3 D3"),
    ("C2", "B2", "G4 B4 D5 F5 D5 B4 D5 B4 G4 B4 D4 F4 E4 D4"),
)
"""Bars 33 and 34: bass and tenor held through the bar, and fourteen sixteenths."""

LAST_CHORD = "C2 C3 E4 G4 C5"
PHRASE_STARTS = (0, 4, 7, 11, 15, 19, 23, 27, 31, 35)
TENSION = (
    *(
        0.30,
        0.42,
        0.50,
        0.36,
        0.55,
        0.60,
        0.66,
        0.58,
        0.50,
        0.56,
        0.44,
        0.66,
        0.60,
        0.68,
        0.55,
        0.46,
        0.44,
        0.40,
    ),
    *(0.30, 0.40, 0.48, 0.72, 0.80, 0.70, 0.62, 0.66, 0.72, 0.90, 0.95, 0.84, 0.76, 0.66, 0.56, 0.44, 0.24),
)
"""How strong each bar is, 0 to 1: rises to the diminished chords and the organ point, then lets go."""

SIXTEENTH = 0.25
BASE_BPM = 70.0
_FIGURE_WEIGHT = (7.0, 0.0, -3.0, 0.0, 5.0, -4.0, -1.0, 3.0)


def prelude() -> bytes:
    """The whole piece as a Standard MIDI File of one piano, about two minutes long."""
    rng = random.Random(846)
    page = Page("Piano")
    page.control(0, 7, 127)
    for bar, names in enumerate(HARMONIES.split("|")):
        _figure(page, bar, pitches(names), rng)
    for bar, voices in enumerate(CLOSING, start=32):
        _closing(page, bar, voices, rng)
    for voice, number in enumerate(pitches(LAST_CHORD)):
        page.note(136 + 0.06 * voice, number, 3.9, _loudness(34) + 4 - voice + waver(rng, 1.5))
    _pedal(page)
    return to_midi([page], [(beat, _tempo_bpm(beat)) for beat in range(0, 140, 2)])


def _figure(page: Page, bar: int, chord: list[int], rng: random.Random) -> None:
    """One bar: the figure twice, bass and tenor held through each half under the right hand's sixteenths."""
    bass, tenor, *hand = chord
    for half in range(2):
        start = 4.0 * bar + 2.0 * half
        level = _loudness(bar + half / 2)
        line = [bass, tenor, *hand, *hand]
        lengths = [1.96, 1.72] + [SIXTEENTH * 1.04] * 6
        for step, (number, length) in enumerate(zip(line, lengths, strict=True)):
            late = waver(rng, 0.008) + (0.006 if step else 0.0)
            page.note(
                start + step * SIXTEENTH + late,
                number,
                length,
                level + _FIGURE_WEIGHT[step] + waver(rng, 2.0),
            )


def _closing(page: Page, bar: int, voices: tuple[str, str, str], rng: random.Random) -> None:
    """One of the two free bars before the end."""
    bass, tenor, line = voices
    start, level = 4.0 * bar, _loudness(bar)
    page.note(start, pitch(bass), 3.95, level + 8)
    page.note(start + SIXTEENTH, pitch(tenor), 3.70, level + 2)
    for step, number in enumerate(pitches(line), start=2):
        velocity = level - 2 + 4 * math.sin(math.pi * step / 16) + waver(rng, 2.0)
        page.note(start + step * SIXTEENTH + waver(rng, 0.008), number, SIXTEENTH, velocity)


def _pedal(page: Page) -> None:
    """Change with the harmony: up as the new bass sounds, down again just after."""
    changes = [4.0 * bar for bar in range(32)] + [128.0, 130.0, 132.0, 134.0, 136.0]
    for beat in changes:
        page.control(beat + 0.02, 64, 0)
        page.control(beat + 0.14, 64, 127)
    page.control(139.95, 64, 0)


def _loudness(bar: float) -> float:
    """The velocity of an inner note at this bar."""
    whole = min(int(bar), len(TENSION) - 1)
    following = min(whole + 1, len(TENSION) - 1)
    tension = TENSION[whole] + (bar - whole) * (TENSION[following] - TENSION[whole])
    return 56 + 32 * tension


def _tempo_bpm(beat: float) -> float:
    """Each phrase moves on a little in its middle and yields at its end; the last bars broaden."""
    bar = beat / 4
    phrase = max(index for index, start in enumerate(PHRASE_STARTS) if start <= bar)
    start = PHRASE_STARTS[phrase]
    end = PHRASE_STARTS[min(phrase + 1, len(PHRASE_STARTS) - 1)]
    place = (bar - start) / max(end - start, 1)
    arch = 0.035 * math.sin(math.pi * place) - 0.045 * place**4
    broadening = 0.34 * max(0.0, (bar - 32.0) / 2.5) ** 1.5
    return round(BASE_BPM * (1 + arch) * (1 - min(broadening, 0.40)), 2)
