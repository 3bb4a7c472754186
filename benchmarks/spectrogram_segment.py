"""A whole segment of Spectrogram Diffusion, ours against diffusers' own pipeline: encoders, and steps of its sampler.

    python benchmarks/spectrogram_decoder.py --setup old
    python benchmarks/spectrogram_segment.py --old old --steps 5 --cpu-time --threads 1

Same weights, same tokens (`--tokens` of them, which diffusers pads to 2048), 256 frames of context, diffusers' sampler
without guidance, which it does not have; no vocoder. Both sides take turns, medians are printed. The pipeline's 100
steps take minutes: with fewer, a whole segment is projected from two numbers of steps, which is exact as far as all
steps cost the same. `--bfloat16` adds ours in bfloat16, on processors without products of it too.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternating import in_turns
from safetensors.torch import save_file
from spectrogram_decoder import SIZES, Theirs, processor

from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.pipelines.segment_network import PublishedNetwork
from ondes.pipelines.spectrogram_samplers import choose_sampling, make_spectrogram_scheduler
from ondes.pipelines.spectrogram_segments import Stretch, sample_stretches

PAPER_STEPS = 100
LENGTH, FRAMES = 2048, 256


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {**SIZES[options.size], "d_kv": 64}
    if options.layers:
        sizes["num_layers"] = options.layers
    networks = {
        "notes": NotesEncoder(**sizes).eval(),
        "context": ContextEncoder(**sizes).eval(),
        "decoder": FilmDecoder(max_decoder_noise_time=20_000.0, **sizes).eval(),
    }
    tokens, context = np.random.default_rng(0).integers(3, 1300, options.tokens), torch.rand(1, FRAMES, 128)
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        file = Path(folder, "inputs.safetensors")
        held = {
            f"{name} {key}": value
            for name, net in networks.items()
            for key, value in net.state_dict().items()
        }
        padded = torch.zeros(1, LENGTH, dtype=torch.int64)
        padded[0, : len(tokens)] = torch.from_numpy(tokens)
        save_file({**held, "tokens": padded, "context frames": context}, file)
        theirs = Theirs(
            file,
            {**sizes, "max_decoder_noise_time": 20_000.0},
            options.threads,
            options.old,
            worker="diffusers_segment.py",
        )
    print(
        f"{options.size} size, {sizes['num_layers']} layers; theirs: {theirs.versions}; ours: torch {torch.__version__}"
    )
    few, many = 1, options.steps
    things: dict[str, Callable[[], object]] = {}
    whole = {"ours, float32": networks}
    if options.bfloat16:
        whole["ours, bfloat16"] = {name: copy.deepcopy(net).bfloat16() for name, net in networks.items()}
    for steps in (few, many):
        things[f"diffusers, float32, {steps}"] = lambda steps=steps: theirs.ask(str(steps))
        for name, parts in whole.items():
            things[f"{name}, {steps}"] = _segment(parts, tokens, context[0], steps)
    clock = (lambda: time.process_time() + theirs.cpu_s) if options.cpu_time else time.perf_counter
    timings = in_turns(things, repetitions=options.repetitions, clock=clock)
    theirs.close()
    what = "processor time" if options.cpu_time else "time"
    print(
        f"{processor()}, {options.threads} threads, {options.tokens} tokens, medians of {options.repetitions}, {what}"
    )
    print(f"\n| segment | {many} steps, s | times as fast | {PAPER_STEPS} steps, s | times as fast |")
    print("| --- | --- | --- | --- | --- |")
    found = {}
    for name in ("diffusers, float32", *whole):
        begun_s, done_s = (timings[f"{name}, {steps}"].median_s for steps in (few, many))
        found[name] = done_s, done_s + (PAPER_STEPS - many) * (done_s - begun_s) / (many - few)
    before = found["diffusers, float32"]
    for name, (done_s, projected_s) in found.items():
        print(
            f"| {name} | {done_s:.2f} | {before[0] / done_s:.2f} | {projected_s:.1f} | {before[1] / projected_s:.2f} |"
        )


def _segment(
    parts: dict[str, Any], tokens: np.ndarray, context: torch.Tensor, steps: int
) -> Callable[[], object]:
    """Encoders and sampler of one segment, of given networks."""
    network = PublishedNetwork(parts["notes"], parts["context"], parts["decoder"])
    own = make_spectrogram_scheduler("dpm++")
    sampling = choose_sampling(
        own, default_steps=steps, default_guidance=1.0, sampler="ddpm", steps=steps, guidance_scale=1.0
    )
    stretch = Stretch(tokens, 0, 0, FRAMES)
    return lambda: sample_stretches(
        network, [stretch], [context], sampling, use_context=True, report=lambda _: None
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--old", metavar="FOLDER", help="what spectrogram_decoder.py --setup made")
    parser.add_argument("--size", choices=list(SIZES), default="base")
    parser.add_argument("--layers", type=int, help="fewer than the size has, where memory or time are short")
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--steps", type=int, default=5, help="2 or more")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
