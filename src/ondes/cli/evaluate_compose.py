"""`ondes evaluate compose`: what a composer writes, beside real music and what is no music."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.cli import composing
from ondes.cli.console import complain, say
from ondes.errors import UserError
from ondes.tasks.composing import DEFAULT_MODEL, MIDI_SUFFIXES

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from ondes.datasets.named import ScoreEntry
    from ondes.datasets.note_cache import CachedSequences
    from ondes.evaluation.compose_report import ComposeReport
    from ondes.evaluation.compose_run import ComposeFindings, Progress, RealMusic
    from ondes.evaluation.symbolic_windows import NoteWindows

REAL_WINDOWS = 500
QUICK = {"samples": 24, "wishes": 6, "infills": 4, "windows": 150, "train_songs": 200}
"""What `--quick` makes do with; its report says so."""

ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
DataOption = Annotated[
    str, typer.Option(help="Music it has not seen: name:split of 'ondes data add', or a folder.")
]
TrainOption = Annotated[
    str,
    typer.Option(
        help="Music it was trained on, in the same way, or a cache of 'ondes data notes', read in no time."
    ),
]
SamplesOption = Annotated[int, typer.Option(min=2, max=100_000, help="How many pieces it writes.")]
NotesOption = Annotated[int, typer.Option(min=16, max=10_000, help="Notes in each, and in each window.")]
WishesOption = Annotated[
    int, typer.Option(min=0, max=10_000, help="More pieces, each in a key and for an ensemble.")
]
InfillsOption = Annotated[int, typer.Option(min=0, max=10_000, help="Scores of which bars are made anew.")]
StepsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Sampler steps. [default: the model's]", show_default=False),
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of music, windows and intervals.")]
RivalOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="MIDI files of another model, or the model, whose distance should be larger.",
        show_default=False,
    ),
]
RivalStepsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Its sampler's steps. [default: that model's]", show_default=False),
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Few samples and part of the training set: minutes, wide intervals.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: 1]", show_default=False),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Processes that read scores. [default: all cores]", show_default=False
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Folder for the report in Markdown and JSON, and pictures. [default: only printed]",
        show_default=False,
    ),
]


def evaluate_composer(
    model: ModelOption = DEFAULT_MODEL,
    data: DataOption = "corpus:test",
    *,
    train: TrainOption = "corpus:train",
    samples: SamplesOption = 200,
    notes: NotesOption = 128,
    wishes: WishesOption = 48,
    infills: InfillsOption = 40,
    steps: StepsOption = None,
    seed: SeedOption = 0,
    rival: RivalOption = None,
    rival_steps: RivalStepsOption = None,
    quick: QuickOption = False,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    output: OutputOption = None,
) -> None:
    """Write samples, fill bars, ask for keys: compare pitch, rhythm, texture and novelty with real music."""
    from ondes.cli.evaluate import _machine, _progress, _publish  # noqa: PLC0415
    from ondes.datasets.named import dataset  # noqa: PLC0415
    from ondes.evaluation.compose_report import ComposeReport  # noqa: PLC0415
    from ondes.evaluation.synth_report import check_folder  # noqa: PLC0415

    if output is not None:
        check_folder(output)
    entries = {"held-out": dataset(data), "train": _known(train)}
    others = None if rival is None else _rival(rival, threads)
    pipeline: Any = composing.load_composer(model, threads)
    sizes = {"samples": samples, "wishes": wishes, "infills": infills, "windows": REAL_WINDOWS}
    if quick:
        sizes = {name: min(size, QUICK[name]) for name, size in sizes.items()}
        entries["train"] = _thinned(entries["train"], QUICK["train_songs"])
    sizes = {name: size if _can(pipeline, name) else 0 for name, size in sizes.items()}
    choices = {"notes": notes, "seed": seed}
    with _progress() as report:
        held_out, known = _real_music(
            entries, sizes["windows"], workers or os.cpu_count() or 1, choices, report
        )
        findings = _findings(pipeline, steps, held_out, known, entries["held-out"], sizes, choices, report)
        if others is not None:
            findings.rival = _rival_windows(others, rival_steps, sizes["samples"], choices, report)
    settings = {"model": model, "model_hash": pipeline.model_hash, **pipeline.defaults()}
    settings |= {
        "steps": steps or settings["steps"],
        "data": data,
        "train": train,
        "notes": notes,
        "seed": seed,
    }
    settings |= {"rival": str(rival)} if rival else {}
    settings |= {"rival steps": rival_steps} if rival_steps else {}
    settings |= {"quick": f"only {len(entries['train'])} training scores"} if quick else {}
    made = ComposeReport.of(findings, settings | _machine(), seed=seed)
    _publish(made, output)
    if output is not None:
        _draw(made, output)


def _known(train: str) -> list[ScoreEntry] | CachedSequences:
    """The training set: a cache of its notes where that is what the name leads to."""
    from ondes.datasets.named import dataset  # noqa: PLC0415
    from ondes.datasets.note_cache import is_note_cache, open_note_cache  # noqa: PLC0415

    return open_note_cache(train, quantise=False) if is_note_cache(train) else dataset(train)


def _can(pipeline: Any, what: str) -> bool:
    """Whether a model can do what is measured: all write pieces, not all fill in bars or take wishes."""
    if what == "infills":
        return "infill" in pipeline.verbs
    return what != "wishes" or {"key", "ensemble"} <= set(getattr(pipeline, "choices", ("key", "ensemble")))


def _rival(folder: Path, threads: int | None) -> Any:
    """Another model, or the pieces of one.

    Raises:
        UserError: If the folder holds neither.
    """
    if any((folder / name).is_file() for name in ("model_index.json", "config.json")):
        return composing.load_composer(str(folder), threads)
    return _read_folder(folder)


def _rival_windows(
    others: Any, steps: int | None, samples: int, choices: dict[str, int], report: Progress
) -> NoteWindows:
    """Windows of another model's pieces, which it writes now if they are not there."""
    from ondes.evaluation.compose_run import windows_of_scores, write_samples  # noqa: PLC0415

    if isinstance(others, list):
        return windows_of_scores(others, notes=choices["notes"])[0]

    def generate(n: int, **wishes: Any) -> list[ScoreTick]:
        return others.generate(n, steps=steps, **wishes)

    return write_samples(generate, count=samples, progress=report, **choices)[0]


def _real_music(
    entries: dict[str, Any],
    windows: int,
    workers: int,
    choices: dict[str, int],
    report: Progress,
) -> tuple[RealMusic, RealMusic]:
    """Held-out music, and the training set with all of its pieces as symbols."""
    from ondes.evaluation.compose_run import read_real_music  # noqa: PLC0415

    read = [
        read_real_music(
            own,
            windows=windows,
            whole=name == "train",
            workers=workers,
            stage=f"reading {name}",
            progress=report,
            **choices,
        )
        for name, own in entries.items()
    ]
    for (name, own), music in zip(entries.items(), read, strict=True):
        if music.left_out:
            complain(f"{name}: {music.left_out} of {len(own)} scores are damaged or have too few notes")
    return read[0], read[1]


def _findings(
    pipeline: Any,
    steps: int | None,
    held_out: RealMusic,
    known: RealMusic,
    entries: list[ScoreEntry],
    sizes: dict[str, int],
    choices: dict[str, int],
    report: Progress,
) -> ComposeFindings:
    """Everything that the pipeline has to write."""
    from ondes.evaluation import compose_run  # noqa: PLC0415

    def generate(n: int, **wishes: Any) -> list[ScoreTick]:
        return pipeline.generate(n, steps=steps, **wishes)

    def infill(score: ScoreTick, bars: tuple[int, int], seed: int) -> ScoreTick:
        return pipeline.infill(score, bars=bars, seed=seed, steps=steps)

    generate(1, notes=16, seed=0)  # The first call fills caches, which no sample shall pay for.
    samples, shown, batch_s, short = compose_run.write_samples(
        generate, count=sizes["samples"], progress=report, **choices
    )
    wishes = compose_run.ask_wishes(generate, count=sizes["wishes"], progress=report, **choices)
    seed = choices["seed"]
    infills = compose_run.fill_bars(entries, infill, count=sizes["infills"], seed=seed, progress=report)
    return compose_run.ComposeFindings(
        samples=samples,
        held_out=held_out.windows,
        train=known.windows,
        train_symbols=known.symbols,
        shown=shown,
        short=short,
        wishes=wishes,
        infills=infills,
        batch_s=batch_s,
        keys_agree=held_out.keys_agree,
    )


def _read_folder(folder: Path) -> list[ScoreTick]:
    """All MIDI files of a folder, in order of name.

    Raises:
        UserError: If there are none.
    """
    from ondes.score import read_score  # noqa: PLC0415

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_SUFFIXES)
    if not paths:
        raise UserError(f"{folder} holds no MIDI files; give the folder of another model's pieces")
    return [read_score(path) for path in paths]


def _thinned(entries: Any, count: int) -> Any:
    """So many entries from all over the list."""
    return (
        entries[:: max(1, len(entries) // count)][:count]
        if isinstance(entries, list)
        else entries.thinned(count)
    )


def _draw(made: ComposeReport, folder: Path) -> None:
    """Piano rolls of the first samples, and histograms of the figures."""
    from ondes.picture import draw_histograms, draw_scores  # noqa: PLC0415
    from ondes.score import to_notes  # noqa: PLC0415

    rolls = {f"sample {number}": to_notes(score) for number, score in enumerate(made.findings.shown, 1)}
    shown = ("ours", "held-out", "train", "noise")
    figures = {name: {which: sets[which] for which in shown} for name, sets in made.table.values.items()}
    draw_scores(folder / "samples.png", rolls)
    draw_histograms(folder / "figures.png", figures)
    for name in ("samples.png", "figures.png"):
        say(f"wrote {folder / name}")
