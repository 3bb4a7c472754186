"""MusicXML that tests write: a bar of a flute, whole or zipped."""

from __future__ import annotations

import zipfile
from pathlib import Path

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
CONTAINER = (
    '<?xml version="1.0"?><container><rootfiles><rootfile full-path="score.xml" '
    'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>'
)
TEMPO = (
    "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>120</per-minute></metronome>"
    '</direction-type><sound tempo="120"/></direction>'
)


def quarter(step: str, *, alter: float = 0, said: str = "") -> str:
    """A quarter note in the fifth octave, with something said about it."""
    sharp = f"<alter>{alter}</alter>" if alter else ""
    return (
        f"<note><pitch><step>{step}</step>{sharp}<octave>5</octave></pitch>"
        f"<duration>1</duration><type>quarter</type>{said}</note>"
    )


def song(bar: str, *, head: str = HEAD, attributes: str = "") -> str:
    """A score of one flute and one bar."""
    return (
        f'{head}<score-partwise version="4.0"><part-list><score-part id="P1"><part-name>Flute</part-name>'
        '<score-instrument id="P1-I1"><instrument-name>Flute</instrument-name></score-instrument>'
        '<midi-instrument id="P1-I1"><midi-channel>1</midi-channel><midi-program>74</midi-program></midi-instrument>'
        '</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions>'
        f"<time><beats>4</beats><beat-type>4</beat-type></time>{attributes}<clef><sign>G</sign><line>2</line></clef>"
        f"</attributes>{TEMPO}{bar}</measure></part></score-partwise>"
    )


SONG = song("".join(map(quarter, "CDEF")))


def write_mxl(path: Path, text: str = SONG) -> None:
    """A zipped score with the container that names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("META-INF/container.xml", CONTAINER)
        zipped.writestr("score.xml", text)
