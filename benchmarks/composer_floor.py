"""What `ondes evaluate compose` says of real music: every other held-out song stands in for the model.

It must keep every gate of pitch, rhythm, texture and distance that noise fails:

    python benchmarks/composer_floor.py --data corpus:test --train corpus:train -o report/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ondes.datasets.named import dataset
from ondes.evaluation.compose_report import ComposeReport
from ondes.evaluation.compose_run import ComposeFindings, read_real_music


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="corpus:test")
    parser.add_argument("--train", default="corpus:train")
    parser.add_argument("--every", type=int, default=1, help="read every nth training score")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    held_out, train = dataset(given.data), dataset(given.train)[:: given.every]
    model, rest = (read_real_music(part, windows=200) for part in (held_out[1::2], held_out[::2]))
    known = read_real_music(train, windows=500, whole=True, workers=given.workers)
    findings = ComposeFindings(
        model.windows, rest.windows, known.windows, known.symbols, keys_agree=rest.keys_agree
    )
    settings = {"model": "every other song held out", "data": given.data, "train": given.train}
    report = ComposeReport.of(findings, settings | {"training scores": len(train)})
    print(report.to_markdown(), end="")
    if given.output is not None:
        report.write(given.output)


if __name__ == "__main__":
    main()
