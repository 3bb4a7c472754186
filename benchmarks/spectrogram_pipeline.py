"""How fast Spectrogram Diffusion turns a score into a WAV file, in seconds a second of audio.

Random weights of the published sizes, guidance on, songs as `ondes.evaluation.memory_probe` writes them: reading the
MIDI file, encoders, sampler, vocoder and writing, but not loading. Medians, everything in turns.

    python benchmarks/spectrogram_pipeline.py --size base --steps 10 --threads 2 --repetitions 3

A whole segment at 100 steps is projected from the decoder step unless --measure-100.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from alternating import in_turns, table

from ondes.evaluation.memory_probe import long_notes
from ondes.models.mel_decoder import FramedGriffinLim
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.pipelines.loading import cpu_multiplies_bfloat16, fast_arithmetic
from ondes.pipelines.segment_network import SegmentNetwork
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_loading import default_mel_decoder, load_mel_decoder
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler
from ondes.pipelines.spectrogram_segments import cut_segments
from ondes.score import notes_to_score

SIZES: dict[str, dict[str, Any]] = {
    "small": {"d_model": 512, "num_heads": 6, "d_kv": 64, "d_ff": 1024, "num_layers": 8},
    "base": {"d_model": 768, "num_heads": 12, "d_kv": 64, "d_ff": 2048, "num_layers": 12},
}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    pipeline = _pipeline(SIZES[options.size], options)
    step, segment_s = _step(pipeline, long_notes(options.seconds / 60))
    choices = {"steps": options.steps, "guidance_scale": options.guidance}
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        midi, wav = Path(folder, "score.mid"), Path(folder, "audio.wav")
        midi.write_bytes(notes_to_score(long_notes(options.seconds / 60)).dumps_midi())
        log_mel = torch.from_numpy(pipeline.log_mel(midi, steps=1))
        things: dict[str, Callable[[], object]] = {
            f"MIDI to WAV, {options.steps} steps": lambda: pipeline(midi, **choices).write(wav),
            "vocoder alone": lambda: pipeline.vocoder.stream().push(log_mel, last=True),
            "Griffin-Lim alone": lambda: FramedGriffinLim().stream().push(log_mel, last=True),
            "one guided decoder step of one segment": step,
        }
        if options.measure_100:
            things["whole segment, 100 steps"] = lambda: next(
                iter(pipeline.stream(midi, steps=100, guidance_scale=options.guidance))
            )
        duration_s = pipeline(midi, steps=1).duration_s
        timings = in_turns(things, repetitions=options.repetitions)
    arithmetic = "bfloat16" if cpu_multiplies_bfloat16() else "float32"
    print(
        f"{options.size} with context, random weights, guidance {options.guidance:g}, DPM-Solver++, vocoder "
        f"{type(pipeline.vocoder).__name__}; {duration_s:.1f} s of music\n{platform.machine()}, "
        f"{torch.get_num_threads()} threads, {arithmetic}, torch {torch.__version__}, "
        f"medians of {options.repetitions}\n"
    )
    print(table(timings, audio_s=duration_s))
    alone = timings["one guided decoder step of one segment"].median_s
    print(
        f"\nThe real-time factor of the last rows is of no meaning: they are of one segment of {segment_s:.2f} s.\n"
        f"Projected: a whole segment at 100 steps takes {100 * alone:.1f} s in the decoder."
    )


def _pipeline(sizes: dict[str, Any], options: argparse.Namespace) -> SpectrogramDiffusionPipeline:
    torch.manual_seed(0)
    vocoder = load_mel_decoder(options.vocoder) if options.vocoder else default_mel_decoder()
    networks = NotesEncoder(**sizes), ContextEncoder(**sizes), FilmDecoder(**sizes)
    return SpectrogramDiffusionPipeline(*networks, make_spectrogram_scheduler("dpm++"), vocoder)


def _step(pipeline: SpectrogramDiffusionPipeline, notes: Any) -> tuple[Callable[[], object], float]:
    """One answer of the decoder to a segment with and without its condition, and the segment's length."""
    network = pipeline.network
    assert isinstance(network, SegmentNetwork)
    stretch = cut_segments(notes, pipeline.codec, network)[1]
    shape = (2, network.frames, network.bands)
    noise, time = torch.randn(shape), torch.full((2,), 0.5)
    with torch.no_grad():
        memory = network.encode([stretch.tokens], [torch.zeros(network.context_frames, 128)]).and_deaf()

    def step() -> None:
        with torch.no_grad(), fast_arithmetic(network.device):
            network.denoise(noise, time, memory)

    return step, network.frames / 50


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--vocoder", help="as of load_mel_decoder; the bundled one if missing")
    parser.add_argument("--measure-100", action="store_true", help="measure a whole segment at 100 steps")
    return parser.parse_args()


if __name__ == "__main__":
    main()
