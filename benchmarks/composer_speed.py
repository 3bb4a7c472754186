"""How long 8 samples of 128 notes take: the composer, and beside it the published composer's U-Net and its 1000 steps.

The U-Net's steps are all alike, so that a measured number of them is multiplied up; the table says of how many. Weights
do not change the time, so the U-Net needs none.

    python benchmarks/composer_speed.py --model compose-small --threads 2 --repetitions 5
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import torch
from alternating import in_turns

from ondes.diffusion.masked import MaskedScheduler
from ondes.models.dmc_unet import DmcUNet
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline

PUBLISHED_STEPS = 1000
GATE_S = 5.0


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    began_s = time.perf_counter()
    composer = _composer(options.model)
    load_s = time.perf_counter() - began_s
    published = DmcUNet().eval()
    things: dict[str, Callable[[], object]] = {
        f"{options.model}, {steps or composer.defaults()['steps']} steps": _compose(composer, options, steps)
        for steps in options.steps
    }
    walk = f"U-Net of the published composer, {PUBLISHED_STEPS} steps"
    things[walk] = _published_steps(published, options)
    wall = in_turns(things, repetitions=options.repetitions)
    print(f"{options.samples} samples of {options.notes} notes; {options.model} loaded in {load_s:.2f} s")
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"medians of {options.repetitions}; the U-Net from {options.measured_steps} measured steps\n"
    )
    print("| what | weights | median s | least s | most s |\n| --- | --- | --- | --- | --- |")
    sizes = {walk: _weights(published)}
    for name, timing in wall.items():
        times = PUBLISHED_STEPS / options.measured_steps if name == walk else 1.0
        figures = [times * value for value in (timing.median_s, timing.least_s, timing.most_s)]
        weights = sizes.get(name, _weights(composer.network))
        print(f"| {name} | {weights / 1e6:.1f} M | " + " | ".join(f"{value:.2f}" for value in figures) + " |")
    first = next(iter(wall.values())).median_s
    print(f"\ngate: {first:.2f} s, {'below' if first < GATE_S else 'NOT below'} {GATE_S:g} s")


def _composer(model: str) -> ComposerPipeline:
    """A model, or with "untrained" one of the default size whose weights are random."""
    if model != "untrained":
        return ComposerPipeline.from_pretrained(model)
    network = NoteTransformer()
    # As trained ones do, it writes most notes into the bar of the note before.
    with torch.no_grad():
        network.frequency[0] += 3.0
    return ComposerPipeline(network, MaskedScheduler())


def _compose(composer: ComposerPipeline, options: argparse.Namespace, steps: int) -> Callable[[], object]:
    asked = {"ensemble": options.ensemble, "guidance_scale": options.guidance}
    return lambda: composer.generate(options.samples, notes=options.notes, steps=steps or None, **asked)


def _published_steps(network: DmcUNet, options: argparse.Namespace) -> Callable[[], object]:
    """Steps of ancestral sampling, without the additions and multiplications between them."""

    def run() -> None:
        noisy = torch.randn(options.samples, options.notes, 3)
        with torch.no_grad():
            for step in range(options.measured_steps):
                network(noisy, torch.full((options.samples,), step))

    return run


def _weights(network: torch.nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="compose-small", help='bundled name, folder, or "untrained"')
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--notes", type=int, default=128, help="a multiple of 8")
    parser.add_argument("--ensemble", default="string quartet")
    parser.add_argument("--guidance", type=float, default=None, help="the model's if left out")
    parser.add_argument("--steps", type=int, nargs="+", default=[0], help="0 means the model's")
    parser.add_argument("--measured-steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
