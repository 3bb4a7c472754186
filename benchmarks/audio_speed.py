"""How fast and in how much memory audio is made: whole jobs from noise to a WAV file, each in a process of its own.

Ours at its default steps against Msanii's recipe (its published network, 20 DDIM steps, its vocoder, 100 Griffin-Lim
iterations, all at once) with random weights, which take the same time as trained ones; in the same run, in turns.

    python benchmarks/audio_speed.py --model audio-small --seconds 190
    python benchmarks/audio_speed.py --model audio-small --lengths 10 30 60 190 600   # ours alone

On a slow machine `--part` times that many of the original's steps and iterations and multiplies; the table says so.
`--model random` takes a network of the default size with random weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RATE_HZ = 44_100
STEPS, ITERATIONS = 20, 100
MSANII_HOP = 1024


def main() -> None:
    options = _options()
    if options.job:
        job = run_ours if options.job == "ours" else run_original
        json.dump(job(options), sys.stdout)
        return
    print(f"model {options.model}, {options.threads} threads\n")
    print("| job | seconds of audio | seconds | a second of audio | peak GB | how |")
    print("| --- | --- | --- | --- | --- | --- |")
    if options.lengths:
        for seconds in options.lengths:
            print(line("ours", in_own_process("ours", options, seconds)), flush=True)
        return
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "the original's recipe": []}
    for _ in range(options.repetitions):
        for name, results in found.items():
            job = "ours" if name == "ours" else "original"
            results.append(in_own_process(job, options, options.seconds))
    best = {name: median(results) for name, results in found.items()}
    for name, result in best.items():
        print(line(name, result))
    ours, theirs = best["ours"], best["the original's recipe"]
    faster = theirs["elapsed_s"] / ours["elapsed_s"]
    memory = ours["peak_bytes"] / theirs["peak_bytes"]
    print(f"\n{faster:.1f} times as fast (gate: 5), {memory:.2f} of the memory (gate: 0.5)")


def run_ours(options: argparse.Namespace) -> dict[str, Any]:
    """From noise to a WAV file, block by block."""
    import torch  # noqa: PLC0415

    from ondes.audio import AudioWriter  # noqa: PLC0415
    from ondes.evaluation.memory_probe import peak_memory_bytes  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    pipeline = ours(options.model)
    began_s, samples = time.perf_counter(), 0
    with (
        tempfile.TemporaryDirectory(prefix="ondes-") as folder,
        AudioWriter(Path(folder, "audio.wav"), sample_rate_hz=RATE_HZ, channels=2) as writer,
    ):
        for block in pipeline.stream(options.seconds, seed=0, steps=options.steps):
            writer.write(block)
            samples += block.samples.shape[1]
    elapsed_s = time.perf_counter() - began_s
    how = f"{options.steps or pipeline.default_steps} steps, whole job"
    return {
        "elapsed_s": elapsed_s,
        "audio_s": samples / RATE_HZ,
        "peak_bytes": peak_memory_bytes(),
        "how": how,
    }


def ours(model: str) -> Any:
    """A pipeline by name, or one of the default size with random weights."""
    from ondes.pipelines.audio import AudioPipeline  # noqa: PLC0415

    if model != "random":
        return AudioPipeline.from_pretrained(model)
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (  # noqa: PLC0415
        FlowMatchEulerDiscreteScheduler,
    )

    from ondes.models.mel_unet import MelUNet  # noqa: PLC0415
    from ondes.pipelines.loading import load_vocoder  # noqa: PLC0415

    return AudioPipeline(MelUNet(), load_vocoder("vocoder-small"), FlowMatchEulerDiscreteScheduler())


def run_original(options: argparse.Namespace) -> dict[str, Any]:
    """The published recipe on the whole length at once: features by DDIM, magnitudes, phases, a WAV file."""
    import torch  # noqa: PLC0415
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler  # noqa: PLC0415

    from ondes.audio import Audio  # noqa: PLC0415
    from ondes.evaluation.memory_probe import peak_memory_bytes  # noqa: PLC0415
    from ondes.models.msanii_griffin_lim import griffin_lim, random_phases  # noqa: PLC0415
    from ondes.models.msanii_unet import MsaniiUNet  # noqa: PLC0415
    from ondes.models.msanii_vocoder import MsaniiVocoder  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    part = options.part or 10**9
    torch.manual_seed(0)
    network, vocoder = MsaniiUNet().eval(), MsaniiVocoder().eval()
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2")
    scheduler.set_timesteps(STEPS)
    hops = -(-round(options.seconds * RATE_HZ) // MSANII_HOP) + 1
    frames = -(-hops // network.multiple) * network.multiple
    samples = (frames - 1) * MSANII_HOP
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 2, 128, frames, generator=generator)
    with torch.inference_mode():
        began_s, steps = time.perf_counter(), min(part, STEPS)
        for step in scheduler.timesteps[:steps]:
            predicted = network(features, step[None])
            features = scheduler.step(predicted, int(step), features, return_dict=False)[0]
        sampling_s = (time.perf_counter() - began_s) / steps * STEPS
        began_s = time.perf_counter()
        magnitude = vocoder(features)[0].clamp(max=100.0)
        vocoder_s = time.perf_counter() - began_s
        phases, iterations = random_phases(magnitude.shape, generator), min(part, ITERATIONS)
        began_s = time.perf_counter()
        sound = griffin_lim(magnitude, phases, hop_samples=MSANII_HOP, iterations=iterations, samples=samples)
        # The transform that ends it is done once, and counted as half an iteration more.
        phases_s = (time.perf_counter() - began_s) * (ITERATIONS + 0.5) / (iterations + 0.5)
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        audio = Audio((sound / sound.abs().max()).numpy(), RATE_HZ)
        audio.write(Path(folder, "audio.wav"))
    writing_s = time.perf_counter() - began_s
    whole = steps == STEPS and iterations == ITERATIONS
    how = (
        "whole job"
        if whole
        else f"{steps} of {STEPS} steps and {iterations} of {ITERATIONS} iterations timed"
    )
    return {
        "elapsed_s": sampling_s + vocoder_s + phases_s + writing_s,
        "audio_s": samples / RATE_HZ,
        "peak_bytes": peak_memory_bytes(),
        "how": f"{how}: {sampling_s:.0f} s of sampling, {vocoder_s + phases_s:.0f} s of sound",
    }


def in_own_process(job: str, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What a job takes in a fresh process."""
    settings = {"job": job, "seconds": seconds, "model": options.model, "threads": options.threads}
    settings |= {name: getattr(options, name) for name in ("steps", "part") if getattr(options, name)}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{job} failed: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The result whose time is in the middle."""
    return sorted(results, key=lambda result: result["elapsed_s"])[len(results) // 2]


def line(name: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    per_second = result["elapsed_s"] / result["audio_s"]
    return (
        f"| {name} | {result['audio_s']:.1f} | {result['elapsed_s']:.1f} | {per_second:.3f} | "
        f"{result['peak_bytes'] / 1e9:.2f} | {result['how']} |"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="audio-small")
    parser.add_argument("--seconds", type=float, default=190.0)
    parser.add_argument("--lengths", type=float, nargs="+", help="ours alone at these lengths")
    parser.add_argument("--steps", type=int, help="ours; the model's own if missing")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--part", type=int, help="steps and iterations of the original that are timed")
    parser.add_argument("--job", choices=("ours", "original"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
