"""`ondes evaluate separate`: what a separator gets right, beside a classifier and rules without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.cli.console import complain, say
from ondes.cli.threads import use_threads
from ondes.errors import UserError, nearest
from ondes.tasks.separating import DEFAULT_MODEL
from ondes.tasks.threads import SYMBOLIC

if TYPE_CHECKING:
    from ondes.datasets.named import ScoreEntry
    from ondes.evaluation.separation_baselines import PartPitches
    from ondes.evaluation.separation_report import SeparationReport
    from ondes.evaluation.separation_run import Separated, Separator
    from ondes.evaluation.separation_songs import Progress, Song
    from ondes.pipelines.mixture2music import Mixture2MusicPipeline
    from ondes.pipelines.separation import SeparationPipeline

QUICK = {"songs": 3, "notes": 1000, "fitted": 30}
"""What `--quick` makes do with; its report says so."""
FITTED = 100
"""Training songs of each group that baselines are fitted on."""
ROLL_STEPS = 50
"""Of the published system, whose own 999 take an hour for a few songs."""
SHOWN_NOTES = 150
"""Notes of each song in a picture."""

ModelOption = Annotated[
    str, typer.Option(help="Bundled name, folder (of a separator, or of its network alone) or Hub id.")
]
DataOption = Annotated[
    str, typer.Option(help="Music it has not seen: name:split of 'ondes data add', or a folder.")
]
TrainOption = Annotated[str, typer.Option(help="Music that the baselines are fitted on, in the same way.")]
ClassifierOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Network of the same size that labels each note by itself. [default: the model's, if it has one]",
        show_default=False,
    ),
]
RollModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Mixture2Music beside it, for the kinds of music whose parts it has.",
        show_default=False,
    ),
]
RollStepsOption = Annotated[int, typer.Option(min=1, max=999, help="DDIM steps of --roll-model.")]
GroupsOption = Annotated[
    str, typer.Option(help="Kinds of music, set off by commas. [default: all]", show_default=False)
]
SongsOption = Annotated[int, typer.Option(min=1, max=10_000, help="Songs of each kind at most.")]
NotesOption = Annotated[
    int, typer.Option(min=64, max=1_000_000, help="Longer songs are cut to a stretch of so many notes.")
]
AlternativesOption = Annotated[
    int,
    typer.Option("-n", "--alternatives", min=1, max=100, help="Separations of each song; the best counts."),
]
StepsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Sampler steps. [default: the model's]", show_default=False),
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of stretches, draws and intervals.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Few songs, cut short: minutes, wide intervals.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: 1]", show_default=False),
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


def evaluate_separator(
    model: ModelOption = DEFAULT_MODEL,
    data: DataOption = "corpus:test",
    *,
    train: TrainOption = "corpus:train",
    classifier: ClassifierOption = None,
    roll_model: RollModelOption = None,
    roll_steps: RollStepsOption = ROLL_STEPS,
    groups: GroupsOption = "",
    songs: SongsOption = 1000,
    notes: NotesOption = 1_000_000,
    alternatives: AlternativesOption = 5,
    steps: StepsOption = None,
    seed: SeedOption = 0,
    quick: QuickOption = False,
    threads: ThreadsOption = None,
    output: OutputOption = None,
) -> None:
    """Take the instruments of songs away and have them named again: accuracy, F1, calibration, baselines."""
    from ondes.cli.evaluate import _machine, _progress, _publish  # noqa: PLC0415
    from ondes.datasets.named import dataset  # noqa: PLC0415
    from ondes.evaluation.extras import require  # noqa: PLC0415
    from ondes.evaluation.separation_report import SeparationReport  # noqa: PLC0415
    from ondes.evaluation.separation_run import separate_songs  # noqa: PLC0415
    from ondes.evaluation.synth_report import check_folder  # noqa: PLC0415

    require("scipy.optimize")
    if output is not None:
        check_folder(output)
    wanted = _groups(groups)
    entries, known = dataset(data), dataset(train)
    sizes = {"songs": songs, "notes": notes, "fitted": FITTED}
    if quick:
        sizes = {name: min(size, QUICK[name]) for name, size in sizes.items()}
    use_threads(threads, usual=SYMBOLIC)
    pipeline = load_separator(model, classifier)
    published = None if roll_model is None else _roll_model(roll_model)
    settings = {"model": model, "model_hash": pipeline.model_hash, "data": data, "train": train}
    settings |= {"classifier": str(classifier)} if classifier else {}
    settings |= {"roll model": str(roll_model), "roll steps": roll_steps} if roll_model else {}
    settings |= {"steps": steps or pipeline.defaults()["steps"], "alternatives": alternatives, "seed": seed}
    settings |= {"songs of a kind at most": sizes["songs"], "notes of a song at most": sizes["notes"]}
    with _progress() as report:
        found, pitches, remarks = _music(entries, known, wanted, sizes, seed, report)
        findings = separate_songs(
            found,
            separators(pipeline, steps, published, roll_steps),
            pitches,
            alternatives=alternatives,
            seed=seed,
            progress=report,
        )
    findings.remarks += remarks
    made = SeparationReport.of(findings, settings | _machine(), seed=seed)
    _publish(made, output)
    if output is not None:
        _draw(made, output)


def load_separator(model: str, classifier: Path | None = None) -> SeparationPipeline:
    """A separator, with another classifier if one is given."""
    from ondes.pipelines.separation import SeparationPipeline  # noqa: PLC0415

    pipeline = SeparationPipeline.from_pretrained(model)
    if classifier is not None:
        pipeline.register_modules(classifier=SeparationPipeline.from_pretrained(classifier).network)
    return pipeline


def _roll_model(folder: Path) -> Mixture2MusicPipeline:
    """The published system.

    Raises:
        UserError: If the folder holds none.
    """
    from ondes.pipelines.mixture2music import Mixture2MusicPipeline  # noqa: PLC0415

    return Mixture2MusicPipeline.from_pretrained(folder)


def separators(
    pipeline: SeparationPipeline,
    steps: int | None,
    published: Mixture2MusicPipeline | None = None,
    roll_steps: int = ROLL_STEPS,
) -> dict[str, Separator]:
    """Ours, the classifier, or our network as one if it has none, and the published system if it is given."""
    from ondes.evaluation.separation_rows import CLASSIFIER, ONE_STEP, OURS, ROLLS  # noqa: PLC0415
    from ondes.evaluation.separation_run import Separated, not_separated  # noqa: PLC0415

    def by(method: str) -> Separator:
        def separate(score: Any, parts: Any, alternatives: int, seed: int) -> Separated:
            made = pipeline(score, into=parts, n=alternatives, method=method, steps=steps, seed=seed)
            return Separated(made.labels, made.confidences, made.scores)

        return separate

    def by_rolls(score: Any, parts: Any, alternatives: int, seed: int) -> Separated:
        assert published is not None
        if not published.has(parts):
            return not_separated(score, alternatives)
        made = published(score, into=parts, n=alternatives, steps=roll_steps, sampler="ddim", seed=seed)
        return Separated(made.labels, made.confidences, made.scores)

    other = ONE_STEP if pipeline.classifier is None else CLASSIFIER
    found = {OURS: by("diffusion"), other: by("classifier")}
    return found if published is None else {**found, ROLLS: by_rolls}


def _groups(text: str) -> list[str]:
    """The kinds of music asked for.

    Raises:
        UserError: If one is unknown.
    """
    from ondes.evaluation.separation_songs import GROUPS  # noqa: PLC0415

    names = [name.strip() for name in text.split(",") if name.strip()] or list(GROUPS)
    for name in names:
        if name not in GROUPS:
            raise UserError(f"unknown kind of music {name!r}; {nearest(name, GROUPS)}")
    return names


def _music(
    entries: list[ScoreEntry],
    known: list[ScoreEntry],
    groups: list[str],
    sizes: dict[str, int],
    seed: int,
    report: Progress,
) -> tuple[list[Song], dict[str, PartPitches], list[str]]:
    """Songs to separate, what training songs say about the parts of each group, and what is missing.

    Raises:
        UserError: If there are no songs.
    """
    from ondes.evaluation.separation_baselines import PartPitches  # noqa: PLC0415
    from ondes.evaluation.separation_songs import CHORALE, cut, read_chorales, read_songs  # noqa: PLC0415

    remarks = []
    own = [group for group in groups if group != CHORALE]
    songs = read_songs(entries, most=sizes["songs"], groups=own, stage="reading", progress=report)
    fitted = read_songs(known, most=sizes["fitted"], groups=own, stage="reading train", progress=report)
    if CHORALE in groups:
        try:
            songs += read_chorales("test", most=sizes["songs"])
            fitted += read_chorales("train", most=sizes["fitted"])
        except UserError as error:
            remarks.append(f"chorales are left out: {error}")
    present = {song.group for song in songs}
    remarks += [f"the data holds no {group}" for group in own if group not in present]
    for remark in remarks:
        complain(remark)
    if not songs:
        raise UserError(f"the data holds no {' and no '.join(groups)} to separate; give another --data")
    pitches = {
        group: PartPitches.of(song.piece for song in fitted if song.group == group) for group in groups
    }
    ordered = [song for group in groups for song in songs if song.group == group]
    return [cut(song, sizes["notes"], seed=seed) for song in ordered], pitches, remarks


def _draw(made: SeparationReport, folder: Path) -> None:
    """Confusions of each group, and of one song a group what came in, what was written and what was found."""
    from ondes.evaluation.separation_rows import OURS  # noqa: PLC0415
    from ondes.picture import draw_confusions, draw_scores  # noqa: PLC0415

    table = made.table
    draw_confusions(
        folder / "confusion.png",
        {group: (table.roles(group), table.role_counts(OURS, group).sum(0)) for group in table.groups},
    )
    say(f"wrote {folder / 'confusion.png'}")
    for group in table.groups:
        one = table.outcomes(OURS, group)[0]
        path = folder / f"{group.replace(' ', '_')}.png"
        draw_scores(path, _rolls(one.song, one.labels[0]))
        say(f"wrote {path}")


def _rolls(song: Song, labels: Any) -> dict[str, Any]:
    """The beginning of a song as a mixture, as written and as separated, in seconds."""
    import numpy as np  # noqa: PLC0415

    from ondes.representations.note_sequence import from_note_sequence  # noqa: PLC0415
    from ondes.score import to_notes  # noqa: PLC0415

    piece = song.piece.select(np.arange(min(SHOWN_NOTES, len(song.piece))))
    start, last = int(piece.bar.min()), int(piece.bar.max())
    pairs = np.array(song.parts)[labels[: len(piece)]]
    found = replace(piece, instrument=pairs[:, 0], part_number=pairs[:, 1])
    mixture = replace(song, piece=piece).mixture
    names = {part: spec.name for part, spec in zip(song.parts, song.specs, strict=True)}
    titles = {
        f"{song.source}, the mixture": (mixture, {}),
        "as written": (piece, names),
        "as separated": (found, names),
    }
    return {
        title: to_notes(from_note_sequence(sequence.sorted().window(start, last + 1), names=own))
        for title, (sequence, own) in titles.items()
    }
