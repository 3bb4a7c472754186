"""How fast MIDI files become tokens, against note-seq and the preprocessing of the PyTorch port.

Both sides read the same files, apply the sustain pedal and write the port's 901 tokens in segments of 5.12 s. The other
side is note-seq 0.0.5 in an environment of its own, followed by the port's preprocessing event by event: a checkout of
the port given with `--port` (its environment then needs torch), or else the same steps written below without tensors,
which takes less time than the port. All files in turns, medians of rounds, and how many files give equal tokens. Either
side ends with lists of whole numbers and drops them.

Tokens of the same notes are equal; where files differ, they were read differently. Of 100 files of a corpus of public
scores 59 are equal. The others, with what ondes does:

* 36: one channel plays a pitch again while it sounds (two voices of a piano). In note-seq the first end of the key ends
  all its notes, and under a pedal the next beginning does, or one of two that begin together is dropped; here each end
  ends the oldest note, with pedals too.
* 3: the tempo is not in the first track. note-seq reads it from there alone, warns, and plays the file at 120; here
  tempos count wherever they are, as in sequencers.
* 1: a time that lies exactly between two steps of 10 ms goes to the other one.
* 1: the last note ends where a segment does. note-seq's side adds a segment for its end; here the song is over.

    python benchmarks/midi_tokens.py --setup env               # once: makes env with note-seq
    python benchmarks/midi_tokens.py --environment env corpus  # 100 files spread over the folder
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SEGMENT_STEPS = 512
NOTE_SEQ = "note-seq==0.0.5"


def main() -> None:
    options = _options()
    if options.serve:
        _serve(options.port)
        return
    if options.setup:
        venv.create(options.setup, with_pip=True)
        subprocess.run(
            [_python(options.setup), "-m", "pip", "install", NOTE_SEQ, "setuptools<81"], check=True
        )
        return
    if options.folder is None or options.environment is None:
        raise SystemExit("give a folder of MIDI files and --environment, which --setup makes")
    files = spread(sorted(Path(options.folder).rglob("*.mid")), options.files)
    with _Other(_python(options.environment), options.port) as other:
        _compare(files, other, options)


def spread(files: list[Path], count: int) -> list[Path]:
    """That many files, evenly spread over the list."""
    return [files[index * len(files) // count] for index in range(min(count, len(files)))]


def _compare(files: list[Path], other: _Other, options: argparse.Namespace) -> None:
    from alternating import in_turns  # noqa: PLC0415

    from ondes.representations.events import Mt3Codec  # noqa: PLC0415
    from ondes.representations.port_events import PortCodec  # noqa: PLC0415

    ours: dict[str, Callable[[Path], list[list[int]]]] = {
        "ondes, port's tokens": _encoder(PortCodec()),
        "ondes, official tokens": _encoder(Mt3Codec()),
    }
    theirs = [other.tokens(path) for path in files]
    equal = sum(
        ours["ondes, port's tokens"](path) == tokens for path, tokens in zip(files, theirs, strict=True)
    )
    theirs_name = "note-seq and the port's preprocessing" if options.port else "note-seq and the same steps"

    def all_files(encode: Callable[[Path], object]) -> Callable[[], None]:
        def encode_all() -> None:
            for path in files:
                encode(path)

        return encode_all

    things = {name: all_files(encode) for name, encode in ours.items()} | {theirs_name: all_files(other.time)}
    clocks = {"wall": time.perf_counter, "processor": lambda: time.process_time() + other.cpu_s}
    timings = in_turns(things, repetitions=options.repetitions, clock=clocks[options.clock])
    print(f"\n{len(files)} files, {options.clock} time, medians of {options.repetitions} rounds\n")
    print("| what | ms a file | least | most | times faster |\n| --- | --- | --- | --- | --- |")
    for name, timing in timings.items():
        figures = [1000 * s / len(files) for s in (timing.median_s, timing.least_s, timing.most_s)]
        faster = timings[theirs_name].median_s / timing.median_s
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + f" | {faster:.1f} |")
    print(
        f"\nequal tokens: {equal} of {len(files)} files; {platform.machine()}, Python {platform.python_version()}"
    )


def _encoder(codec: Any) -> Callable[[Path], list[list[int]]]:
    from ondes.midi_notes import read_notes  # noqa: PLC0415

    def encode(path: Path) -> list[list[int]]:
        return [piece.tokens.tolist() for piece in codec.encode(read_notes(path), limit=None)]

    return encode


class _Other:
    """The other side: a process that tokenises the file named on each line it is sent."""

    def __init__(self, python: str, port: str | None) -> None:
        command = [python, __file__, "--serve", *(["--port", port] if port else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cpu_s = 0.0

    def __enter__(self) -> _Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.cpu_s += answer["cpu_s"]
        return answer

    def tokens(self, path: Path) -> list[list[int]]:
        return self._ask({"path": str(path), "tokens": True})["tokens"]

    def time(self, path: Path) -> None:
        self._ask({"path": str(path), "tokens": False})


def _serve(port: str | None) -> None:
    """Answer questions in the environment of note-seq."""
    import note_seq  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

    answers = sys.stdout
    sys.stdout = sys.stderr  # the port prints
    if port:
        sys.path.insert(0, port)
        from preprocessor.event_codec import Codec  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
        from preprocessor.preprocessor import preprocess  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

        codec = Codec(SEGMENT_STEPS + 1)

    for line in sys.stdin:
        question = json.loads(line)
        began_s = time.process_time()
        sequence = note_seq.midi_file_to_note_sequence(question["path"])
        sequence = note_seq.apply_sustain_control_changes(sequence)
        tokens = preprocess(sequence, codec=codec)[0] if port else plain_tokens(sequence.notes)
        answer: dict[str, Any] = {"cpu_s": time.process_time() - began_s}
        if question["tokens"]:
            answer["tokens"] = [[int(token) for token in segment] for segment in tokens]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def plain_tokens(notes: Any) -> list[list[int]]:
    """The port's 901 tokens, event by event, as the port makes them but without tensors."""
    events = []
    for note in notes:
        onset, release = round(note.start_time * 100), round(note.end_time * 100)
        if not note.is_drum:
            events.append((release + (release == onset), False, note.program, 0, note.pitch))
        events.append((onset, bool(note.is_drum), note.program, 1, note.pitch))
    segments: list[list[tuple[str, int]]] = [[("tie", 0)]]
    sounding: dict[tuple[int, int], bool] = {}
    for step, is_drum, program, on, pitch in sorted(events):
        while step // SEGMENT_STEPS >= len(segments):
            tied = [key for key in sorted(sounding) if sounding[key]]
            words = [word for key in tied for word in (("program", key[0]), ("pitch", key[1]))]
            segments.append([*words, ("tie", 0)])
        segments[-1].append(("shift", step % SEGMENT_STEPS))
        if is_drum:
            segments[-1] += [("velocity", on), ("drum", pitch)]
        else:
            segments[-1] += [("program", program), ("velocity", on), ("pitch", pitch)]
            sounding[program, pitch] = bool(on)
    return [list(_without_repeats(segment)) for segment in segments]


FIRST_ID = {"shift": 0, "pitch": 514, "velocity": 642, "tie": 644, "program": 645, "drum": 773}


def _without_repeats(words: list[tuple[str, int]]) -> Iterator[int]:
    """Ids of words; shifts, programs and velocities only where they change."""
    in_force: dict[str, int] = {"shift": 0}
    for kind, value in words:
        if kind in ("shift", "program", "velocity"):
            if in_force.get(kind) == value:
                continue
            in_force[kind] = value
        if kind in ("shift", "tie"):
            in_force = {"shift": in_force["shift"]}
        elif kind == "program":
            in_force.pop("velocity", None)
        yield FIRST_ID[kind] + value


def _python(environment: str) -> str:
    return str(Path(environment, "bin", "python").absolute())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", help="folder of MIDI files")
    parser.add_argument("--setup", metavar="FOLDER", help="make an environment with note-seq there")
    parser.add_argument("--environment", metavar="FOLDER", help="the environment that --setup made")
    parser.add_argument("--port", metavar="FOLDER", help="a checkout of music-spectrogram-diffusion-pytorch")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor on busy machines"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
