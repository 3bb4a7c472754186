"""`ondes evaluate`: how well a model plays, against a SoundFont, with baselines and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.cli import rendering
from ondes.cli.console import console, say
from ondes.cli.evaluate_audio import evaluate_audio_model
from ondes.cli.evaluate_compose import evaluate_composer
from ondes.cli.evaluate_separation import evaluate_separator
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.tasks import performing

if TYPE_CHECKING:
    import numpy as np

    from ondes.audio import Audio
    from ondes.datasets.render import Renderer
    from ondes.evaluation.synth_run import Progress, Subject

EXTRAS = ("onnxruntime", "mir_eval.transcription", "pyloudnorm", "scipy.signal")
VOCODER = "vocoder-small"


class Protocol(StrEnum):
    """What is played and measured."""

    EXCERPTS = "excerpts"
    PAPER = "paper"


ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
DataOption = Annotated[
    str, typer.Option(help="Scores to play: name:split of 'ondes data add', or a folder.", show_default=True)
]
SoundfontOption = Annotated[
    Path | None,
    typer.Option(help="SoundFont to compare with. [default: the first one installed]", show_default=False),
]
SecondOption = Annotated[
    Path | None,
    typer.Option(
        help="Another SoundFont, never used in training, to compare with as well.", show_default=False
    ),
]
ExcerptsOption = Annotated[int, typer.Option(min=1, max=10_000, help="How many excerpts, of four kinds.")]
SecondsOption = Annotated[float, typer.Option(min=1.0, max=600.0, help="Length of each excerpt.")]
StepsOption = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Solver steps. [default: the model's]", show_default=False)
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of excerpts, music and intervals.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: torch's choice]", show_default=False),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Folder for the report in Markdown and JSON. [default: only printed]",
        show_default=False,
    ),
]
VocoderOnlyOption = Annotated[
    bool, typer.Option("--vocoder-only", help="Only the vocoder: mel of the render back to sound.")
]
MemoryOption = Annotated[
    bool, typer.Option(help="Also play 2 and 10 minutes in fresh processes to measure their memory.")
]
ProtocolOption = Annotated[
    Protocol, typer.Option(help="Excerpts of 20 s against gates, or whole songs as in arXiv 2206.05408.")
]
SongsOption = Annotated[
    int, typer.Option(min=1, max=10_000, help="How many songs the paper's protocol plays.")
]
EmbeddingOption = Annotated[
    str, typer.Option(help="Of the paper's protocol: musicnn (comes with ondes), vggish or aisfx.")
]
EmbeddingWeightsOption = Annotated[
    str | None,
    typer.Option(help="Weights of the embedding: a file, or a Hub id for vggish.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Put the command group on the command line."""
    group = typer.Typer(no_args_is_help=True, help="Measure a model: ondes evaluate synth --data corpus:test")
    group.callback()(_group)
    group.command("synth")(evaluate_synthesiser)
    group.command("audio")(evaluate_audio_model)
    group.command("compose")(evaluate_composer)
    group.command("separate")(evaluate_separator)
    app.add_typer(group, name="evaluate")


def _group() -> None:
    """Measure a model against what it should do."""


def evaluate_synthesiser(
    model: ModelOption = performing.DEFAULT_MODEL,
    data: DataOption = "corpus:test",
    *,
    soundfont: SoundfontOption = None,
    second_soundfont: SecondOption = None,
    excerpts: ExcerptsOption = 40,
    seconds: SecondsOption = 20.0,
    steps: StepsOption = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    output: OutputOption = None,
    vocoder_only: VocoderOnlyOption = False,
    memory: MemoryOption = True,
    protocol: ProtocolOption = Protocol.EXCERPTS,
    songs: SongsOption = 10,
    embedding: EmbeddingOption = "musicnn",
    embedding_weights: EmbeddingWeightsOption = None,
) -> None:
    """Play excerpts with a synthesiser and with SoundFonts: compare notes, onsets, spectra, level, speed."""
    renderers = _prepare(output, soundfont, second_soundfont)
    if protocol is Protocol.PAPER:
        if vocoder_only:
            raise UserError(
                "--vocoder-only has no meaning for --protocol paper, whose report has the vocoder's row"
            )
        _evaluate_songs(
            renderers["render"],
            data,
            output,
            model=model,
            songs=songs,
            embedding=embedding,
            weights=embedding_weights,
            steps=steps,
            seed=seed,
            threads=threads,
        )
        return
    from ondes.datasets.named import dataset  # noqa: PLC0415
    from ondes.evaluation.excerpts import choose_excerpts  # noqa: PLC0415
    from ondes.evaluation.synth_report import SynthReport  # noqa: PLC0415
    from ondes.evaluation.synth_run import evaluate_synth  # noqa: PLC0415

    chosen = choose_excerpts(dataset(data), count=excerpts, duration_s=seconds, seed=seed)
    if vocoder_only:
        model = VOCODER if model == performing.DEFAULT_MODEL else model
        subject, about = _vocoder_subject(model, threads)
    else:
        subject, about = _synthesiser_subject(model, threads, steps, seed)
    settings = about | {"data": data, "excerpts": len(chosen), "seconds": seconds, "seed": seed}
    settings |= {name: _description(renderer) for name, renderer in renderers.items()}
    with _progress() as report:
        findings = evaluate_synth(
            subject,
            chosen,
            {name: renderer.render for name, renderer in renderers.items()},
            duration_s=seconds,
            seed=seed,
            progress=report,
        )
        if memory and not vocoder_only:
            findings.peak_bytes = _memory(model, about, report)
    _publish(SynthReport.of(findings, settings | _machine(), seed=seed), output)


def _evaluate_songs(renderer: Renderer, data: str, output: Path | None, **choices: Any) -> None:
    """The paper's protocol."""
    from ondes.cli.evaluate_paper import paper_report  # noqa: PLC0415
    from ondes.datasets.named import dataset  # noqa: PLC0415

    settings = {"data": data, "seed": choices["seed"], "true audio": _description(renderer)}
    with _progress() as report:
        made = paper_report(
            choices.pop("model"), dataset(data), renderer, settings=settings, progress=report, **choices
        )
    made.settings.update(_machine())
    _publish(made, output)


def _prepare(output: Path | None, soundfont: Path | None, second: Path | None) -> dict[str, Renderer]:
    """Find out everything that can be wrong before the long work; gives the SoundFont players."""
    from ondes.datasets.render import find_soundfont, open_renderer  # noqa: PLC0415
    from ondes.evaluation.extras import require  # noqa: PLC0415
    from ondes.evaluation.synth_report import check_folder  # noqa: PLC0415

    for module in EXTRAS:
        require(module)
    if output is not None:
        check_folder(output)
    renderers = {"render": open_renderer(soundfont or find_soundfont())}
    if second is not None:
        renderers["second"] = open_renderer(second)
        if renderers["second"].soundfont_hash == renderers["render"].soundfont_hash:
            raise UserError(f"{second} is the SoundFont that is compared with already; give another, or none")
    return renderers


def _synthesiser_subject(
    model: str, threads: int | None, steps: int | None, seed: int
) -> tuple[Subject, dict[str, Any]]:
    """A pipeline as something to evaluate, and what the report says of it."""
    from ondes.evaluation.synth_run import Subject  # noqa: PLC0415

    pipeline: Any = rendering.load_pipeline(model, threads)
    if not hasattr(pipeline, "join_times_s"):
        raise UserError(
            f"{model} is not of the 44.1 kHz stereo kind that excerpts ask for; pass --protocol paper"
        )
    steps = steps or pipeline.default_steps
    subject = Subject(
        render=lambda score: pipeline(score, seed=seed, steps=steps),
        vocoders=_vocoders(pipeline.vocoder),
        joins_s=pipeline.join_times_s,
        stream=lambda score: pipeline.stream(score, seed=seed, steps=steps),
    )
    return subject, {"model": model, "model_hash": pipeline.model_hash, "steps": steps}


def _vocoder_subject(model: str, threads: int | None) -> tuple[Subject, dict[str, Any]]:
    """A vocoder alone as something to evaluate."""
    from ondes.evaluation.synth_run import Subject  # noqa: PLC0415
    from ondes.pipelines.loading import load_vocoder  # noqa: PLC0415

    use_threads(threads)
    return Subject(vocoders=_vocoders(load_vocoder(model))), {"model": model}


def _vocoders(ours: Any) -> dict[str, Callable[[np.ndarray], Audio]]:
    """Our vocoder, and Griffin-Lim beside it."""
    from ondes.models.griffin_lim import GriffinLim  # noqa: PLC0415

    return {"vocoder": _decoder(ours), "Griffin-Lim": _decoder(GriffinLim())}


def _decoder(vocoder: Any) -> Callable[[np.ndarray], Audio]:
    """A vocoder as a function from one log-mel to audio."""
    import torch  # noqa: PLC0415

    from ondes.audio import Audio  # noqa: PLC0415

    def decode(log_mel: np.ndarray) -> Audio:
        with torch.no_grad():
            samples = vocoder(torch.from_numpy(log_mel)[None].to(vocoder.device))[0]
        return Audio(samples.float().cpu().numpy(), vocoder.spec.sample_rate_hz)

    return decode


def _memory(model: str, about: dict[str, Any], report: Progress) -> dict[int, int]:
    """Peak memory of long scores; the bar counts them."""
    import torch  # noqa: PLC0415

    from ondes.evaluation.memory import MINUTES, peak_bytes  # noqa: PLC0415

    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        report("long scores", done, len(MINUTES))

    report("long scores", 0, len(MINUTES))
    return peak_bytes(model, steps=about["steps"], threads=torch.get_num_threads(), after_each=count)


def _description(renderer: Renderer) -> str:
    """Which SoundFont, and which player."""
    kind = type(renderer).__name__.removesuffix("Renderer").lower()
    return f"{renderer.soundfont.name}, sha256 {renderer.soundfont_hash[:12]}, {kind}, dry"


def _machine() -> dict[str, Any]:
    """Threads, arithmetic and versions."""
    import torch  # noqa: PLC0415

    from ondes.pipelines.loading import cpu_multiplies_bfloat16  # noqa: PLC0415
    from ondes.sidecar import current_versions  # noqa: PLC0415

    return {
        "threads": torch.get_num_threads(),
        "arithmetic": "bfloat16" if cpu_multiplies_bfloat16() else "float32",
        "versions": ", ".join(f"{name} {version}" for name, version in current_versions().items()),
    }


def _publish(report: Any, output: Path | None) -> None:
    """Print the report, and write it where asked."""
    print(report.to_markdown(), end="")
    if output is not None:
        for path in report.write(output):
            say(f"wrote {path}")


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar with the time left, for each stage in turn."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    with Progress(*columns, console=console()) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield report
