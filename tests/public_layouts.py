"""Tiny folders in the layouts of public data sets: sines of half a second and a few notes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import midi_bytes as mb

RATE_HZ = 8000


def write_tone(
    path: Path, hz: float = 440.0, *, seconds: float = 0.5, gain: float = 0.1, channels: int = 1
) -> np.ndarray:
    """A sine with a little noise of its own, (time,)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = gain * (
        np.sin(2 * np.pi * hz * time) + 0.2 * np.random.default_rng(int(hz)).normal(size=len(time))
    )
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), RATE_HZ, subtype="PCM_24")
    return tone


def plain_features(samples: np.ndarray) -> np.ndarray:
    """Stands for a log-mel where processes shall start fast, (frames, 128)."""
    frames = len(samples) // 320
    return samples[: 320 * frames].reshape(frames, 320)[:, :128]


def write_midi(
    path: Path, *tracks: Sequence[tuple[int, int, int]], channel: int = 0, program: int = 0
) -> None:
    """Tracks of (onset, end, pitch) in ticks of 1/960 s, each on a channel of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = [mb.track([(0, mb.tempo(500_000))])]
    for number, notes in enumerate(tracks, channel):
        events = [mb.note(start, end, pitch, channel=number) for start, end, pitch in notes]
        chunks.append(mb.track(mb.in_order((0, mb.program(program, number)), *events)))
    path.write_bytes(mb.midi(*chunks))


def write_musicnet(root: Path, ids: Sequence[int], *, test_ids: Sequence[int] = ()) -> None:
    """Violin (41) and piano (1), in samples at 44.1 kHz."""
    for half, names in (("train", ids), ("test", test_ids)):
        for name in names:
            write_tone(root / f"{half}_data" / f"{name}.wav", 200 + name % 100)
            labels = root / f"{half}_labels" / f"{name}.csv"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text(
                "start_time,end_time,instrument,note,start_beat,end_beat,note_value\n"
                "4410,13230,41,67,0.0,1.0,Quarter\n0,22050,1,48,0.0,2.0,Half\n"
            )


def write_maestro(root: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Rows of name and split; the index is one of columns."""
    names = "canonical_composer canonical_title split year midi_filename audio_filename duration"
    columns: dict[str, dict[str, Any]] = {name: {} for name in names.split()}
    for number, (name, split) in enumerate(rows):
        write_tone(root / f"2004/{name}.wav", channels=2)
        write_midi(root / f"2004/{name}.midi", [(0, 240, 60), (240, 480, 64)])
        values = ["Bach", "Air", split, 2004, f"2004/{name}.midi", f"2004/{name}.wav", 0.5]
        for column, value in zip(columns, values, strict=True):
            columns[column][str(number)] = value
    (root / "maestro-v3.0.0.json").write_text(json.dumps(columns))


def write_guitarset(root: Path, names: Sequence[str]) -> None:
    """Six strings, of which two play."""
    (root / "annotation").mkdir(parents=True)
    for name in names:
        write_tone(root / "audio_mono-mic" / f"{name}_mic.wav")
        strings = [
            {
                "namespace": "note_midi",
                "annotation_metadata": {"data_source": str(string)},
                "data": [
                    {"time": 0.1 * string, "duration": 0.2, "value": 40.6 + 5 * string, "confidence": None}
                ]
                if string < 2
                else [],
            }
            for string in range(6)
        ]
        others = [
            {"namespace": "beat_position", "data": [{"time": 0, "duration": 0, "value": {"position": 1}}]}
        ]
        jams = {"file_metadata": {"title": name, "duration": 0.5}, "annotations": others + strings}
        (root / "annotation" / f"{name}.jams").write_text(json.dumps(jams))


def write_urmp(root: Path, pieces: Sequence[str]) -> None:
    """Pieces such as `01_Jupiter_vn_vc`: player i plays A of octave 6 - i, annotated a little out of tune."""
    for piece in pieces:
        folder = root / piece
        number, title, *codes = piece.split("_")
        write_tone(folder / f"AuMix_{piece}.wav", 300 + int(number))
        for index, code in enumerate(codes, 1):
            path = folder / f"Notes_{index}_{code}_{number}_{title}.txt"
            path.write_text(f"0.1\t{1770 / 2**index:.3f}\t0.25\n0.4\t{880 / 2**index:.3f}\t0.1\n\n")
        write_midi(folder / f"Sco_{piece}.mid", *([(0, 480, 60 + k)] for k in range(len(codes))))


def write_slakh(
    root: Path, track: str, stems: Sequence[tuple[int, bool]], *, split: str = "train", mix_gain: float = 1.0
) -> None:
    """A song of stems (program, is_drum); stem k plays pitch 40 + k, and 60 a little later. S99 was never rendered."""
    folder = root / split / track
    total, rows = 0.0, []
    for index, (program, is_drum) in enumerate([*stems, (5, False)]):
        rendered = index < len(stems)
        name = f"S{index:02d}" if rendered else "S99"
        number = 128 if is_drum else program
        rows.append(
            f"  {name}:\n    audio_rendered: {str(rendered).lower()}\n    inst_class: X\n"
            f"    is_drum: {str(is_drum).lower()}\n    midi_saved: true\n    program_num: {number}\n"
        )
        notes = [(0, 240, 40 + index), (96, 192, 60)]
        write_midi(folder / "MIDI" / f"{name}.mid", notes, channel=9 if is_drum else 0, program=program)
        if rendered:
            total = total + write_tone(folder / "stems" / f"{name}.flac", 100.0 * (index + 2), gain=0.05)
    soundfile.write(folder / "mix.flac", np.asarray(mix_gain * total), RATE_HZ, subtype="PCM_24")
    head = "UUID: abc\naudio_dir: stems\nmidi_dir: MIDI\nnormalized: true\noverall_gain: 0.18\nstems:\n"
    (folder / "metadata.yaml").write_text(head + "".join(rows))
