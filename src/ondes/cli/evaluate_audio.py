"""`ondes evaluate audio`: what a model of audio makes and how it edits, against recordings, rivals and baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.cli.console import complain
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.tasks.audio_orders import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

    from ondes.audio import Audio
    from ondes.datasets.render import Renderer
    from ondes.evaluation.audio_clips import Clip
    from ondes.evaluation.audio_run import AudioSubject
    from ondes.evaluation.embeddings import Embedding

EXTRAS = ("pyloudnorm", "scipy.signal")
QUICK = {"clips": 6, "seconds": 8.0, "train_clips": 12, "long_pieces": 1}
"""What `--quick` makes do with; its report says so."""
LONG_S = 60.0
LONG_PIECES = 4

ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
DataOption = Annotated[
    str,
    typer.Option(
        help="Music it has not seen: name:split of 'ondes data add', or a folder of audio or of scores."
    ),
]
TrainOption = Annotated[
    str | None,
    typer.Option(
        help="Music it has learnt from, in which copies are looked for. [default: the training split of --data]",
        show_default=False,
    ),
]
RivalOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL_OR_FOLDER",
        help="Another model, or a folder of audio that one has made, to be nearer to the data than; repeat it.",
        show_default=False,
    ),
]
SoundfontOption = Annotated[
    Path | None,
    typer.Option(help="SoundFont that plays scores. [default: the first one installed]", show_default=False),
]
ClipsOption = Annotated[
    int, typer.Option(min=2, max=10_000, help="How many pieces are made, and how many recordings edited.")
]
SecondsOption = Annotated[float, typer.Option(min=6.0, max=600.0, help="Length of each.")]
TrainClipsOption = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Clips of the training set, where it is not read whole.")
]
EmbeddingOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Of the distances, beside log-mel statistics: musicnn, vggish, aisfx; repeat it. [default: musicnn]",
        show_default=False,
    ),
]
EmbeddingWeightsOption = Annotated[
    str | None, typer.Option(help="Weights of the last embedding, as of 'ondes evaluate synth'.")
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Solver steps. [default: the model's]", show_default=False)
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**31, help="Of clips, music and intervals.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Few short clips: minutes, wide intervals.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: torch's choice]", show_default=False),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Folder for the report in Markdown and JSON, pictures and sounds. [default: only printed]",
        show_default=False,
    ),
]


def evaluate_audio_model(
    model: ModelOption = DEFAULT_MODEL,
    data: DataOption = "corpus:test",
    *,
    train: TrainOption = None,
    rival: RivalOption = None,
    soundfont: SoundfontOption = None,
    clips: ClipsOption = 32,
    seconds: SecondsOption = 12.0,
    train_clips: TrainClipsOption = 100,
    embedding: EmbeddingOption = None,
    embedding_weights: EmbeddingWeightsOption = None,
    steps: StepsOption = None,
    seed: SeedOption = 0,
    quick: QuickOption = False,
    threads: ThreadsOption = None,
    output: OutputOption = None,
) -> None:
    """Make music and edit recordings: seams, stereo, loudness, distances to the data, gaps, copies, speed."""
    from ondes.cli.evaluate import _machine, _progress, _publish  # noqa: PLC0415
    from ondes.evaluation.audio_report import AudioReport  # noqa: PLC0415
    from ondes.evaluation.audio_run import evaluate_audio  # noqa: PLC0415
    from ondes.evaluation.extras import require  # noqa: PLC0415
    from ondes.evaluation.synth_report import check_folder  # noqa: PLC0415

    for module in EXTRAS:
        require(module)
    if output is not None:
        check_folder(output)
    sizes: dict[str, Any] = {"clips": clips, "seconds": seconds, "train_clips": train_clips}
    sizes["long_pieces"] = LONG_PIECES
    if quick:
        sizes = {name: min(size, QUICK[name]) for name, size in sizes.items()}
    use_threads(threads)
    embeddings = _embeddings(embedding or ["musicnn"], embedding_weights)
    subject, about = audio_subject(model, steps)
    rivals = {f"rival {_called(name)}": _rival(name, sizes["seconds"], seed) for name in rival or ()}
    training = _training_name(data) if train is None else train
    renderer = _renderer([data, *([training] if training else [])], soundfont)
    settings = about | {"data": data, "training set": training or "not given", "seed": seed} | sizes
    if renderer is not None:
        settings["scores are played by"] = f"{renderer.soundfont.name}, sha256 {renderer.soundfont_hash[:12]}"
    with _progress() as report:
        real, other = _halves(data, sizes, renderer, seed)
        findings = evaluate_audio(
            subject,
            real,
            other,
            embeddings,
            duration_s=sizes["seconds"],
            rivals=rivals,
            training=_training(training, sizes, renderer, seed),
            long_s=LONG_S,
            long_pieces=sizes["long_pieces"],
            seed=seed,
            progress=report,
        )
    _publish(AudioReport.of(findings, settings | _machine(), seed=seed), output)


def audio_subject(model: str, steps: int | None) -> tuple[AudioSubject, dict[str, Any]]:
    """A model of audio as something to evaluate, and what the report says of it."""
    from ondes.evaluation.audio_run import AudioSubject  # noqa: PLC0415
    from ondes.pipelines.audio_opening import open_audio_pipeline  # noqa: PLC0415

    pipeline: Any = open_audio_pipeline(model)
    used: dict[str, Any] = {} if steps is None else {"steps": steps}

    subject = AudioSubject(
        generate=lambda seconds, seed: pipeline.generate(seconds, seed=seed, **used)[0],
        inpaint=lambda audio, start_s, stop_s, seed: pipeline.inpaint(
            audio, [(start_s, stop_s)], seed=seed, **used
        ),
        outpaint=lambda audio, before_s, after_s, seed: pipeline.outpaint(
            audio, before_s=before_s, after_s=after_s, seed=seed, **used
        ),
        joins_s=getattr(pipeline, "join_times_s", None),
    )
    about = {"model": model, "model_hash": pipeline.model_hash, "steps": steps or pipeline.default_steps}
    return subject, about


def _called(name: str) -> str:
    """What a report calls a model or folder: runs of a training keep theirs in folders called "model"."""
    path = Path(name)
    return path.resolve().parent.name if path.name == "model" and path.is_dir() else path.name


def _rival(name: str, duration_s: float, seed: int) -> Callable[[int], Audio]:
    """Another model, or audio that one has made, as a function of the number of a piece.

    Raises:
        UserError: If it is neither.
    """
    from ondes.evaluation.audio_clips import holds_audio, read_clips  # noqa: PLC0415
    from ondes.pipelines.audio_opening import open_audio_pipeline  # noqa: PLC0415

    if Path(name).is_dir() and holds_audio(name):
        made = read_clips(name, count=10_000, duration_s=duration_s, renderer=None, seed=seed)
        if not made:
            raise UserError(
                f"{name} holds no audio of {duration_s:g} s or more; give a model or longer audio"
            )
        return lambda index: made[index % len(made)].audio
    pipeline: Any = open_audio_pipeline(name)
    return lambda index: pipeline.generate(duration_s, seed=seed + index)[0]


def _embeddings(names: list[str], weights: str | None) -> list[Embedding]:
    """Log-mel statistics, and what was asked for."""
    from ondes.evaluation.embeddings import load_embedding  # noqa: PLC0415
    from ondes.evaluation.mel_statistics import MelStatistics  # noqa: PLC0415

    unique = list(dict.fromkeys(names))
    given = {name: weights if name == unique[-1] else None for name in unique}
    return [MelStatistics(), *(load_embedding(name, weights=given[name]) for name in unique)]


def _training_name(data: str) -> str | None:
    """The training split of the same data; None where the data names no split."""
    from ondes.datasets.named import parse_spec  # noqa: PLC0415

    stem, split = parse_spec(data)
    return f"{stem}:train" if split and split != "train" else None


def _renderer(names: list[str], soundfont: Path | None) -> Renderer | None:
    """Plays scores; None where there are none to play."""
    from ondes.datasets.render import find_soundfont, open_renderer  # noqa: PLC0415
    from ondes.evaluation.audio_clips import holds_audio  # noqa: PLC0415

    if all(holds_audio(name) for name in names):
        return None
    return open_renderer(soundfont or find_soundfont())


def _halves(
    data: str, sizes: dict[str, Any], renderer: Renderer | None, seed: int
) -> tuple[list[Clip], list[Clip]]:
    """Clips to compare with, and as many from other sources.

    Raises:
        UserError: If there are too few.
    """
    from ondes.evaluation.audio_clips import deal, read_clips  # noqa: PLC0415

    wanted = {"count": 2 * sizes["clips"], "duration_s": sizes["seconds"]}
    clips = read_clips(data, **wanted, renderer=renderer, seed=seed)
    real, other = deal(clips)
    if min(len(real), len(other)) < 2:
        raise UserError(
            f"{data} gave {len(clips)} clips of {sizes['seconds']:g} s; at least two of two sources each are needed"
        )
    if len(clips) < wanted["count"]:
        complain(f"{data} gave {len(clips)} clips of {wanted['count']} asked for")
    return real, other


def _training(
    name: str | None, sizes: dict[str, Any], renderer: Renderer | None, seed: int
) -> Iterable[np.ndarray]:
    from ondes.evaluation.audio_clips import training_mels  # noqa: PLC0415

    if name is None:
        return ()
    return training_mels(
        name, count=sizes["train_clips"], duration_s=sizes["seconds"], renderer=renderer, seed=seed
    )
