"""MusicXML, bare or zipped, becomes a Standard MIDI File.

Verovio converts (MusicXML 4.0, W3C 2021). It is a program for engraving that trusts its input, so two things stand
before it: the file is checked here as XML, without reading anything that it refers to, and verovio runs in a process of
its own with limits of time and memory, where no score can take the caller down.
"""

from __future__ import annotations

import codecs
import importlib.util
import re
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from xml.parsers import expat

from ondes.errors import UserError
from ondes.midi_tracks import MOST_NOTES

MUSICXML_SUFFIXES = (".mxl", ".musicxml", ".xml")
MOST_XML_BYTES = 32 * 2**20
"""Of a score, unpacked: hundreds of pages for orchestra."""
MOST_PACKED_BYTES = 8 * 2**20
MOST_DEPTH = 100
"""Of elements within elements; scores have some ten."""
MOST_CONVERSION_S = 300.0

CONTAINER = "META-INF/container.xml"
MOST_CONTAINER_BYTES = 2**16

LOST = {
    "dynamics and hairpins not played": ("dynamics", "wedge"),
    "ornaments played as plain notes": (
        *("trill-mark", "turn", "inverted-turn", "delayed-turn", "mordent", "inverted-mordent", "shake", "schleifer"),
    ),
    "staccatos, accents and the like not played": (
        *("staccato", "staccatissimo", "spiccato", "tenuto", "detached-legato", "accent", "strong-accent", "stress"),
    ),
    "fermatas and breaths not played": ("fermata", "breath-mark", "caesura"),
    "arpeggios and glides played as plain notes": ("arpeggiate", "glissando", "slide", "bend"),
    "chord symbols and figured basses not played": ("harmony", "figured-bass"),
}  # fmt: skip
"""What verovio leaves out of MIDI, in words, and the elements that say it."""
MICROTONES = "notes between the keys moved to a key"
_LOSS_OF = {element: words for words, elements in LOST.items() for element in elements}

Opening = Callable[[str, dict[str, str]], None]
"""Takes the name and the attributes of an element that begins."""


def is_musicxml(data: bytes) -> bool:
    """Whether this can only be a zip or XML, and no MIDI file."""
    is_wide = data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    return data[:4] == b"PK\3\4" or is_wide or data[:256].removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<"


def to_midi(data: bytes, name: str) -> tuple[bytes, Counter[str]]:
    """The MIDI file that verovio makes of MusicXML, and what it left out.

    Times are exact, repeats and da capos are played, tremolos written out; velocities are flat.

    Args:
        data: The file, `.musicxml` or `.mxl`.
        name: What to call it in messages.

    Returns:
        The MIDI file, and how often each thing that is written was not carried over.

    Raises:
        UserError: If it is no MusicXML by parts, is damaged, declares entities or is too large; if verovio is missing,
            or fails on it.
    """
    text = _decoded(_unpacked(data, name) if data[:4] == b"PK\3\4" else data, name)
    losses = _checked(text, name)
    check_verovio(name)
    return _converted(text, name), losses


def check_verovio(name: str) -> None:
    """Refuse if what converts MusicXML is not installed."""
    if importlib.util.find_spec("verovio") is None:
        raise UserError(f"{name} is MusicXML, for which verovio is missing; pip install 'ondes[musicxml]'")


def _unpacked(data: bytes, name: str) -> bytes:
    """The score in an archive, never more of it than is allowed."""
    if len(data) > MOST_PACKED_BYTES:
        raise UserError(f"{name} has more than {MOST_PACKED_BYTES >> 20} MiB; split the score")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            member = _score_member(archive, name)
            return _read(archive, member, MOST_XML_BYTES, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{name} is a damaged or locked archive ({error}); export it again as .mxl") from None


def _score_member(archive: zipfile.ZipFile, name: str) -> str:
    """Which file of the archive its container calls the score; without a container the first XML file."""
    members = archive.namelist()
    roots: list[str] = []
    if CONTAINER in members:
        container = _decoded(_read(archive, CONTAINER, MOST_CONTAINER_BYTES, name), name)
        _walk(
            container,
            name,
            lambda tag, at: roots.append(at.get("full-path", "")) if tag == "rootfile" else None,
        )
    else:
        roots = [member for member in members if member.lower().endswith((".xml", ".musicxml"))]
    if not roots or roots[0] not in members:
        raise UserError(
            f"{name} is an archive without a score; give the .mxl that a notation program exported"
        )
    return roots[0]


def _read(archive: zipfile.ZipFile, member: str, most_bytes: int, name: str) -> bytes:
    """A file of the archive, refused as soon as it turns out too long, whatever length it announces."""
    with archive.open(member) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise UserError(f"{name} unpacks to more than {most_bytes / 2**20:g} MiB; split the score")
    return data


def _decoded(data: bytes, name: str) -> str:
    """The text of an XML file without its declaration, which may be wrong once it is text."""
    if len(data) > MOST_XML_BYTES:
        raise UserError(f"{name} has more than {MOST_XML_BYTES >> 20} MiB; split the score")
    declared = re.match(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})""", data)
    encoding = "utf-8-sig"
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        encoding = "utf-16"
    elif declared and declared[1].lower() not in {b"utf-8", b"utf8"}:
        encoding = declared[1].decode("ascii")
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        raise UserError(f"{name} is no text in {encoding.removesuffix('-sig')}; save it as UTF-8") from None
    return re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)


def _walk(text: str, name: str, opened: Opening, said: Callable[[str], None] | None = None) -> None:
    """Read XML from beginning to end; nothing outside it is ever looked at.

    Raises:
        UserError: If it is not well-formed, declares entities, or nests without measure.
    """
    parser = expat.ParserCreate()
    depth = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise UserError(f"{name} nests elements more than {MOST_DEPTH} deep; export it again")
        opened(tag, attributes)

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise UserError(f"{name} declares XML entities, which scores do not need; export it again")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.EntityDeclHandler = refuse
    parser.CharacterDataHandler = said
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise UserError(f"{name} is no whole XML file ({error}); export it again as MusicXML") from None


def _checked(text: str, name: str) -> Counter[str]:
    """Refuse what is no score by parts; count what its conversion will lose."""
    found: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    last = ""

    def opened(tag: str, _: dict[str, str]) -> None:
        nonlocal last
        if not found and tag != "score-partwise":
            raise UserError(
                f"{name} is XML of kind {tag!r}; MusicXML by parts (score-partwise) is read, so export that"
            )
        found[tag] += 1
        last = tag
        if tag in _LOSS_OF:
            losses[_LOSS_OF[tag]] += 1
        if found["note"] > MOST_NOTES:
            raise UserError(f"{name} holds more than {MOST_NOTES} notes; split it")

    def said(words: str) -> None:
        nonlocal last
        if last == "alter" and re.fullmatch(r"\s*[-+]?\d*\.0*[1-9]\d*\s*", words):
            losses[MICROTONES] += 1
        last = ""

    _walk(text, name, opened, said)
    return losses


def _converted(text: str, name: str) -> bytes:
    """What the process of verovio answers."""
    words = [sys.executable, "-P", "-m", "ondes.musicxml_process"]
    try:
        done = subprocess.run(
            words, input=text.encode(), capture_output=True, timeout=MOST_CONVERSION_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{name} is not converted after {MOST_CONVERSION_S:.0f} s; split it, or export it as MIDI"
        ) from None
    if done.returncode or not done.stdout:
        raise UserError(f"{name} cannot be read by verovio; export it again, or as MIDI (.mid)")
    return done.stdout
