"""How much louder a synthesiser is than the SoundFont it learned from: what `gain_db` of its pipeline must give back.

Excerpts as those of `ondes evaluate synth`, in the same groups, but of the validation split: the test split says
afterwards how well the constant fits. Loudness is that of ITU-R BS.1770.

    python benchmarks/synth_loudness.py --model synth-small --data corpus:validation --excerpts 100
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ondes.datasets.named import dataset
from ondes.datasets.render import find_soundfont, open_renderer
from ondes.evaluation.bootstrap import bootstrap
from ondes.evaluation.excerpts import GROUPS, Excerpt, choose_excerpts
from ondes.evaluation.listening import fit
from ondes.evaluation.loudness import loudness_lufs
from ondes.pipelines.synthesis import SynthesisPipeline


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    pipeline = SynthesisPipeline.from_pretrained(options.model)
    renderer = open_renderer(options.soundfont or find_soundfont())
    chosen = _several_draws(options)
    found = []
    for excerpt in chosen:
        ours, render = (
            loudness_lufs(fit(play(excerpt.score), options.seconds)) for play in (pipeline, renderer.render)
        )
        found.append(ours - render)
        print(f"{excerpt.group:12} {found[-1]:+6.2f} LU of {render:6.1f} LUFS  {excerpt.name}", flush=True)
    print(
        f"\n{options.model}, gain {pipeline.config['gain_db']} dB, {len(found)} excerpts of {options.data}\n"
    )
    print(table(chosen, np.array(found)))


def _several_draws(options: argparse.Namespace) -> list[Excerpt]:
    """Excerpts of every seed, each once: one draw has no more than 16 parts alone."""
    entries = dataset(options.data)
    drawn: dict[str, Excerpt] = {}
    for seed in options.seeds:
        for excerpt in choose_excerpts(
            entries, count=options.excerpts, duration_s=options.seconds, seed=seed
        ):
            if excerpt.group in options.groups:
                drawn.setdefault(excerpt.name, excerpt)
    return list(drawn.values())


def table(excerpts: Sequence[Excerpt], louder: np.ndarray) -> str:
    """Means, spreads and 95 % intervals of the groups, and of all with the groups in their usual proportions."""
    groups = np.array([excerpt.group for excerpt in excerpts])
    sources = [excerpt.source for excerpt in excerpts]

    present = [group for group in GROUPS if group in groups]

    def mean(chosen: np.ndarray) -> float:
        means = [louder[chosen][groups[chosen] == group].mean() for group in present]
        return float(np.average(means, weights=[GROUPS[group] for group in present]))

    lines = ["| excerpts | n | mean, LU | spread, LU |", "| --- | --- | --- | --- |"]
    for group in present:
        own = louder[groups == group]
        works = [source for source, name in zip(sources, groups, strict=True) if name == group]
        figure = bootstrap(lambda chosen, own=own: float(own[chosen].mean()), works)
        lines.append(
            f"| {group} | {len(own)} | {figure.value:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}] | {own.std():.2f} |"
        )
    figure = bootstrap(mean, sources, strata=groups.tolist())
    lines.append(
        f"| all, as {':'.join(str(GROUPS[group]) for group in present)} | {len(louder)} "
        f"| {figure.value:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}] | {louder.std():.2f} |"
    )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="synth-small")
    parser.add_argument("--data", default="corpus:validation")
    parser.add_argument("--excerpts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="draws of excerpts")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
