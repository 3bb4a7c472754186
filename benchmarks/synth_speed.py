"""How fast a score becomes a WAV file, in seconds a second of audio.

Whole pipeline at several numbers of steps (reading the MIDI file, playing, writing the WAV: everything but loading the
model), its first block, its vocoder alone, Griffin-Lim alone, and SoundFont players; all in turns, medians.

    python benchmarks/synth_speed.py --model synth-small --threads 2 --repetitions 5
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from alternating import in_turns, table

from ondes.audio import Audio
from ondes.datasets.render import find_soundfont, open_renderer
from ondes.errors import UserError
from ondes.evaluation.memory_probe import long_notes
from ondes.models.griffin_lim import GriffinLim
from ondes.pipelines.loading import cpu_multiplies_bfloat16
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.score import notes_to_score


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    began_s = time.perf_counter()
    pipeline = SynthesisPipeline.from_pretrained(options.model)
    load_s = time.perf_counter() - began_s
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        midi, wav = Path(folder, "score.mid"), Path(folder, "audio.wav")
        score = notes_to_score(long_notes(options.seconds / 60))
        midi.write_bytes(score.dumps_midi())
        timings = in_turns(_things(pipeline, midi, wav, options.steps), repetitions=options.repetitions)
    print(f"model {options.model}, loaded in {load_s:.2f} s; {options.seconds:g} s of music and its tail")
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"{'bfloat16' if cpu_multiplies_bfloat16() else 'float32'}, torch {torch.__version__}, "
        f"medians of {options.repetitions}\n"
    )
    print(table(timings, audio_s=options.seconds + 2.0))


def _things(
    pipeline: SynthesisPipeline, midi: Path, wav: Path, steps: list[int]
) -> dict[str, Callable[[], object]]:
    log_mel = torch.from_numpy(pipeline.log_mel(midi, steps=1))[None]
    griffin_lim = GriffinLim()

    def whole(count: int) -> Callable[[], object]:
        return lambda: pipeline(midi, steps=count).write(wav)

    def decode(vocoder: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                vocoder(log_mel)

        return run

    things: dict[str, Callable[[], object]] = {f"MIDI to WAV, {count} steps": whole(count) for count in steps}
    things["first block of a stream"] = lambda: next(pipeline.stream(midi))
    things["vocoder alone"] = decode(pipeline.vocoder)
    things["Griffin-Lim alone"] = decode(griffin_lim)
    return things | _players(midi, wav)


def _players(midi: Path, wav: Path) -> dict[str, Callable[[], object]]:
    """What a SoundFont takes, where one is installed."""
    from ondes.score import read_score  # noqa: PLC0415

    found: dict[str, Callable[[], object]] = {}
    for backend in ("midirenderer", "fluidsynth"):
        try:
            renderer = open_renderer(find_soundfont(), backend)
        except UserError as error:
            print(f"{backend} left out: {error}")
            continue

        def play(render: Callable[..., Audio] = renderer.render) -> None:
            render(read_score(midi)).write(wav)

        found[f"SoundFont, {backend}"] = play
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="synth-small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 16])
    return parser.parse_args()


if __name__ == "__main__":
    main()
