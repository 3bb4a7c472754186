"""Names of the General MIDI instruments, and what people call them for short."""

from __future__ import annotations

from ondes.representations.note_sequence import DRUMS

GENERAL_MIDI = tuple(
    """
    acoustic grand piano; bright acoustic piano; electric grand piano; honky-tonk piano; electric piano 1;
    electric piano 2; harpsichord; clavinet; celesta; glockenspiel; music box; vibraphone; marimba; xylophone;
    tubular bells; dulcimer; drawbar organ; percussive organ; rock organ; church organ; reed organ; accordion;
    harmonica; tango accordion; nylon guitar; steel guitar; jazz guitar; clean guitar; muted guitar;
    overdriven guitar; distortion guitar; guitar harmonics; acoustic bass; fingered bass; picked bass;
    fretless bass; slap bass 1; slap bass 2; synth bass 1; synth bass 2; violin; viola; cello; contrabass;
    tremolo strings; pizzicato strings; harp; timpani; string ensemble 1; string ensemble 2; synth strings 1;
    synth strings 2; choir aahs; voice oohs; synth voice; orchestra hit; trumpet; trombone; tuba;
    muted trumpet; french horn; brass section; synth brass 1; synth brass 2; soprano sax; alto sax; tenor sax;
    baritone sax; oboe; english horn; bassoon; clarinet; piccolo; flute; recorder; pan flute; blown bottle;
    shakuhachi; whistle; ocarina; square lead; sawtooth lead; calliope lead; chiff lead; charang lead;
    voice lead; fifths lead; bass lead; new age pad; warm pad; polysynth pad; choir pad; bowed pad;
    metallic pad; halo pad; sweep pad; rain effect; soundtrack effect; crystal effect; atmosphere effect;
    brightness effect; goblins effect; echoes effect; sci-fi effect; sitar; banjo; shamisen; koto; kalimba;
    bagpipe; fiddle; shanai; tinkle bell; agogo; steel drums; woodblock; taiko drum; melodic tom; synth drum;
    reverse cymbal; guitar fret noise; breath noise; seashore; bird tweet; telephone ring; helicopter;
    applause; gunshot
    """.replace("\n", " ").split(";")
)
GENERAL_MIDI = tuple(" ".join(name.split()) for name in GENERAL_MIDI)
"""The 128 programs in order."""

SHORT_NAMES = {
    "piano": 0,
    "pianoforte": 0,
    "grand piano": 0,
    "klavier": 0,
    "pno": 0,
    "electric piano": 4,
    "rhodes": 4,
    "cembalo": 6,
    "organ": 19,
    "pipe organ": 19,
    "orgel": 19,
    "hammond organ": 16,
    "guitar": 24,
    "classical guitar": 24,
    "gitarre": 24,
    "acoustic guitar": 25,
    "electric guitar": 27,
    "rhythm guitar": 29,
    "lead guitar": 30,
    "bass": 33,
    "bass guitar": 33,
    "electric bass": 33,
    "double bass": 43,
    "string bass": 43,
    "kontrabass": 43,
    "db": 43,
    "vl": 40,
    "vln": 40,
    "geige": 40,
    "violine": 40,
    "vla": 41,
    "bratsche": 41,
    "violoncello": 42,
    "vc": 42,
    "vlc": 42,
    "harfe": 46,
    "kettledrums": 47,
    "pauken": 47,
    "strings": 48,
    "string section": 48,
    "choir": 52,
    "chorus": 52,
    "soprano": 52,
    "mezzo": 52,
    "alto": 52,
    "tenor": 52,
    "voice": 53,
    "singer": 53,
    "vocals": 53,
    "gesang": 53,
    "tpt": 56,
    "cornet": 56,
    "trompete": 56,
    "tbn": 57,
    "posaune": 57,
    "horn": 60,
    "waldhorn": 60,
    "hn": 60,
    "brass": 61,
    "soprano saxophone": 64,
    "saxophone": 65,
    "sax": 65,
    "alto saxophone": 65,
    "tenor saxophone": 66,
    "baritone saxophone": 67,
    "ob": 68,
    "cor anglais": 69,
    "fagott": 70,
    "bn": 70,
    "bsn": 70,
    "klarinette": 71,
    "cl": 71,
    "floete": 73,
    "flöte": 73,
    "fl": 73,
    "synth": 81,
    "synth lead": 81,
    "pad": 89,
    "synth pad": 89,
    "synth bass": 38,
    "drums": DRUMS,
    "drum": DRUMS,
    "drum set": DRUMS,
    "drum kit": DRUMS,
    "drumkit": DRUMS,
    "percussion": DRUMS,
}
"""What people say, to programs; a plural in s is understood as well."""

_DISPLAY = {0: "piano", 24: "guitar", 33: "bass", 43: "double bass", 48: "strings", 53: "voice", 60: "horn"}


def instrument_name(instrument: int) -> str:
    """What to call a program, or `DRUMS`, in a few words."""
    if instrument == DRUMS:
        return "drums"
    return _DISPLAY.get(instrument, GENERAL_MIDI[instrument])


INSTRUMENTS: dict[str, int] = {
    **{name: program for program, name in enumerate(GENERAL_MIDI)},
    **SHORT_NAMES,
}
"""Every name that is understood, in small letters, to its instrument."""

FAMILIES = (
    *("piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass"),
    *(
        "reed",
        "pipe",
        "synth lead",
        "synth pad",
        "synth effects",
        "ethnic",
        "percussive",
        "sound effects",
        "drums",
    ),
)
"""Families of eight programs each, as General MIDI names them, and the drums."""


def family_name(instrument: int) -> str:
    """The family of a program, or of `DRUMS`."""
    return FAMILIES[instrument // 8]
