"""Whether a small Spectrogram Diffusion model plays its notes: easy pairs to train it on, and note F1 over a control.

The pairs are single voices of a corpus on the piano, moved by up to half an octave, in MIDI files and 16 kHz renders
with a manifest as `ondes data render` writes it:

    python benchmarks/spectrogram_learns.py --make runs/voices --scores corpus --hours 1.5 --soundfont FluidR3_GM.sf2

The control is what F1 the audio has against the notes of the other excerpts: a model that plays some music, but not
what it is told, does no better with its own notes. Transcriber and F1 are those of `ondes evaluate synth`.

    python benchmarks/spectrogram_learns.py --judge runs/spectrogram_tiny/model --pairs runs/voices

With `--transcriber` the model is not told its notes, and a transcriber guides it instead (`ondes train transcriber`):
F1 without it, and with it; the control is then guidance by other excerpts' notes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from ondes.audio import Audio
from ondes.controls import Controls
from ondes.datasets.named import ScoreEntry, dataset, read_manifest
from ondes.datasets.render import open_renderer
from ondes.datasets.training_scores import excerpt
from ondes.evaluation.transcription import Transcript, score_notes, transcribe
from ondes.models.mel_transcriber import MelTranscriber
from ondes.notes import Notes, Part
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.representations.framed_mel import to_framed_log_mel
from ondes.score import notes_to_score, read_score, to_notes

RATE_HZ = 16_000
SECONDS = 24.0
TAIL_S = 1.0
FEWEST_NOTES = 20
MOST_NOTES = 120
SHARE_ALONE = 0.95
"""Of the notes of a voice: those that begin when the one before is over."""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    if options.make:
        make_pairs(options.make, options.scores, hours=options.hours, soundfont=options.soundfont)
    if options.judge:
        judge(options.judge, options.pairs, options)


def voices(notes: Notes) -> list[Notes]:
    """The parts of a score that play one note at a time, each alone, on the piano at one loudness."""
    found = []
    for index, part in enumerate(notes.parts):
        own = notes.select(notes.part == index)
        if part.is_drum or len(own) < FEWEST_NOTES:
            continue
        alone = own.onset_s[1:] >= own.key_release_s[:-1] - 0.02
        if alone.mean() < SHARE_ALONE:
            continue
        plain = replace(
            own,
            release_s=own.key_release_s,
            program=np.zeros_like(own.program),
            velocity=np.full_like(own.velocity, 90),
            part=np.zeros_like(own.part),
            parts=(Part("Voice", 0, False, Controls()),),
        )
        found.append(plain)
    return found


def drawn_voice(entries: list[ScoreEntry], rng: np.random.Generator) -> tuple[Notes, ScoreEntry] | None:
    """An excerpt of a voice, moved; None where what was drawn has none, or too few or too many notes in it."""
    entry = entries[int(rng.integers(len(entries)))]
    found = voices(to_notes(read_score(entry.path)))
    if not found:
        return None
    voice = found[int(rng.integers(len(found)))]
    start_s = float(rng.uniform(0, max(voice.duration_s - SECONDS, 0.0)))
    piece = excerpt(voice, start_s, SECONDS)
    piece = replace(piece, pitch=piece.pitch + int(rng.integers(-6, 6)))
    inside = len(piece) and piece.pitch.min() >= 21 and piece.pitch.max() <= 108
    return (piece, entry) if inside and FEWEST_NOTES <= len(piece) <= MOST_NOTES else None


def make_pairs(folder: Path, scores: str, *, hours: float, soundfont: Path) -> None:
    """Write pairs of the training and validation splits, one of these for every 19 of those."""
    renderer, rng = open_renderer(soundfont, "auto", tail_s=TAIL_S), np.random.default_rng(0)
    entries = {split: dataset(f"{scores}:{split}") for split in ("train", "validation")}
    folder.mkdir(parents=True)
    made, total_s = 0, 0.0
    while total_s < hours * 3600:
        split = "validation" if made % 20 == 10 else "train"
        found = drawn_voice(entries[split], rng)
        if found is None:
            continue
        midi = bytes(notes_to_score(found[0]).dumps_midi())
        audio = renderer.render(to_notes(read_score(midi)))
        mono = Audio(audio.samples.mean(0, keepdims=True), audio.sample_rate_hz).resample(RATE_HZ)
        name = f"{made:05d}"
        # One gain for all: how loud a note is is a function of its pitch alone.
        soundfile.write(folder / f"{name}.wav", mono.samples[0] * 4, RATE_HZ, subtype="FLOAT")
        (folder / f"{name}.mid").write_bytes(midi)
        row = {"id": name, "audio": f"{name}.wav", "midi": f"{name}.mid", "split": split}
        row |= {"seconds": mono.duration_s, "source": found[1].id, "licence": found[1].licence}
        with (folder / "manifest.jsonl").open("a") as manifest:
            manifest.write(json.dumps(row) + "\n")
        made, total_s = made + 1, total_s + mono.duration_s
    print(f"{made} pairs, {total_s / 3600:.2f} hours")


def judge(model: Path, pairs: Path, options: argparse.Namespace) -> None:
    """Print note F1 of a model, with and without its notes, and of the true log-mels through the same vocoder."""
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(model)
    rows = [row for row in read_manifest(pairs / "manifest.jsonl") if row["split"] == "validation"]
    every = [(to_notes(read_score(pairs / row["midi"])).window(0.0, options.seconds), row) for row in rows]
    songs, rows = map(list, zip(*[found for found in every if len(found[0])][: options.count], strict=True))
    audio = [_through_vocoder(pipeline, pairs / row["audio"], options.seconds) for row in rows]
    print(
        f"{len(songs)} excerpts of {options.seconds:g} s, {options.steps} steps; note F1 with own notes, with others'"
    )
    _report("true log-mels", audio, songs)
    ways: dict[str, dict[str, Any]] = {
        f"notes, guidance {options.guidance:g}": {"guidance_scale": options.guidance}
    }
    if options.transcriber:
        listener = MelTranscriber.from_pretrained(options.transcriber, low_cpu_mem_usage=False).eval()
        ways = {"no notes": {"guidance_scale": 0.0}}
        for scale in options.scales:
            steered = {"transcriber": listener, "transcriber_scale": scale, "guidance_scale": 0.0}
            ways[f"no notes, transcriber {scale:g}"] = steered
    for name, choices in ways.items():
        audio = [pipeline(song, seed=n, steps=options.steps, **choices) for n, song in enumerate(songs)]
        _report(name, audio, songs)
        if options.listen:
            folder = options.listen / name.replace(" ", "_").replace(",", "")
            folder.mkdir(parents=True, exist_ok=True)
            for row, made in zip(rows, audio, strict=True):
                made.write(folder / f"{row['id']}.wav")


def _report(name: str, audio: list[Audio], songs: list[Notes]) -> None:
    heard = [transcribe(made) for made in audio]
    own, others = agreement(heard, songs)
    notes = np.mean([len(transcript) for transcript in heard])
    print(f"{name}: {own:.3f}, {others:.3f}; {notes:.1f} notes heard", flush=True)


def agreement(heard: list[Transcript], songs: list[Notes]) -> tuple[float, float]:
    """Mean note F1 of transcripts against their own songs, and against all others."""
    table = np.array([[score_notes(found, song).f1 for song in songs] for found in heard])
    count = len(songs)
    return float(np.diag(table).mean()), float((table.sum() - np.trace(table)) / max(count * (count - 1), 1))


def _through_vocoder(pipeline: SpectrogramDiffusionPipeline, path: Path, seconds: float) -> Audio:
    samples, rate_hz = soundfile.read(path, dtype="float32", frames=int(seconds * RATE_HZ))
    log_mel = to_framed_log_mel(torch.from_numpy(samples))
    with torch.no_grad():
        made = pipeline.vocoder.stream().push(log_mel, last=True)
    return Audio(made.numpy()[None].astype(np.float32), rate_hz)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="write pairs there")
    parser.add_argument("--scores", default="corpus", help="data set with splits that voices are taken from")
    parser.add_argument("--hours", type=float, default=1.5)
    parser.add_argument("--soundfont", type=Path, help="SF2 to play with")
    parser.add_argument("--judge", type=Path, metavar="MODEL", help="a model that a run saved")
    parser.add_argument("--pairs", type=Path, help="the folder that --make wrote")
    parser.add_argument("--count", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--transcriber", type=Path, metavar="FOLDER", help="guide the deaf model by this one")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="of the transcriber")
    parser.add_argument("--listen", type=Path, metavar="FOLDER", help="write the audio there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
