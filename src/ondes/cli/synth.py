"""`ondes synth`: a MIDI file becomes audio."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondes.cli import rendering, streaming
from ondes.cli.console import complain
from ondes.cli.yaml_options import ConfigOption
from ondes.errors import UserError
from ondes.sidecar import Settings, record_beside, replaceable
from ondes.tasks import audio_writing, performing

if TYPE_CHECKING:
    from ondes.pipelines.opening import Player


class Sampler(StrEnum):
    """The samplers of all kinds of models by the names people type; the model's own where none is given."""

    DPM = "dpm++"
    UNIPC = "unipc"
    EULER = "euler"
    HEUN = "heun"
    DDIM = "ddim"
    ANCESTRAL = "ancestral"
    ANCESTRAL_SMALL = "ancestral-small"
    ANCESTRAL_MEDIUM = "ancestral-medium"
    PORT = "port"
    DDPM = "ddpm"


class Continuation(StrEnum):
    """How Spectrogram Diffusion joins its segments."""

    CONTEXT = "context"
    INPAINTING = "inpainting"
    NONE = "none"


ScoreArgument = Annotated[
    Path, typer.Argument(metavar="SCORE", help="A MIDI file (.mid) or MusicXML (.mxl).", show_default=False)
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Audio file to write: .wav, .flac, .ogg or .mp3. With --stems a folder. "
        "[default: the score's name, .wav, in this folder]",
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, another performance.")]
StepsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Quality dial: 4 to 32, for Spectrogram Diffusion 10 to 50. [default: the model's, but 1000 for the "
        "samplers ancestral and port, 100 for ddpm]",
        show_default=False,
    ),
]
SamplerOption = Annotated[
    Sampler | None, typer.Option(help="How the steps are taken. [default: the model's]", show_default=False)
]
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=20.0,
        help="How strictly the notes are obeyed; 1 is plain. [default: the model's]",
        show_default=False,
    ),
]
IntervalOption = Annotated[
    str | None,
    typer.Option(
        metavar="A-B",
        help="Diffusion times between which there is guidance, 0 (music) to 1 (noise), as 0.1-0.8. "
        "[default: always]",
        show_default=False,
    ),
]
ContinuationOption = Annotated[
    Continuation | None,
    typer.Option(
        help="How segments join: each hears the one before, or overlaps it, or is made beside it. "
        "[default: as the model was trained]",
        show_default=False,
    ),
]
VocoderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="What makes sound of spectrograms: a bundled name, a folder, an ONNX file, a Hub id or griffin-lim. "
        "[default: the model's]",
        show_default=False,
    ),
]
Int8Option = Annotated[
    bool, typer.Option("--int8", help="8-bit linear layers: faster on many CPUs; the error is printed.")
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=2.0,
        help="Variety: below 1 fewer accidents and less life. [default: the model's]",
        show_default=False,
    ),
]
ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: torch's choice]", show_default=False),
]
StemsOption = Annotated[
    bool, typer.Option("--stems", help="One file a part, and mix.wav, which is their sum.")
]
StreamOption = Annotated[
    bool,
    typer.Option(
        "--stream",
        help="16-bit samples to standard output while they are being made, behind a WAV header "
        "of unknown length: ondes synth song.mid --stream | aplay",
    ),
]
RawOption = Annotated[
    bool,
    typer.Option("--raw", help="With --stream: no WAV header, bare little-endian samples (aplay -f cd)."),
]
SidecarOption = Annotated[
    bool, typer.Option(help="Write a .json beside the audio, from which 'ondes replay' makes it again.")
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command()(synth)


def synth(
    score: ScoreArgument,
    output: OutputOption = None,
    *,
    seed: SeedOption = 0,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    guidance_interval: IntervalOption = None,
    temperature: TemperatureOption = None,
    continuation: ContinuationOption = None,
    vocoder: VocoderOption = None,
    int8: Int8Option = False,
    model: ModelOption = performing.DEFAULT_MODEL,
    threads: ThreadsOption = None,
    stems: StemsOption = False,
    stream: StreamOption = False,
    raw: RawOption = False,
    sidecar: SidecarOption = True,
    _config: ConfigOption = None,
) -> None:
    """Play a MIDI file with a diffusion model."""
    settings = Settings(
        seed,
        steps,
        sampler.value if sampler else None,
        guidance,
        threads,
        stems,
        temperature,
        guidance_interval,
        continuation.value if continuation else None,
        vocoder,
        int8,
    )
    _check_combination(output, stems=stems, stream=stream, raw=raw)
    _check_guidance(settings)
    if stream:
        _stream(score, model, settings, header=not raw)
    elif stems:
        _stems(score, output or Path(score.stem), model, settings, sidecar=sidecar)
    else:
        _file(score, output or Path(f"{score.stem}.wav"), model, settings, sidecar=sidecar)


def _check_combination(output: Path | None, *, stems: bool, stream: bool, raw: bool) -> None:
    """Refuse options that contradict each other."""
    if stream and (stems or output):
        other = "--stems" if stems else "-o"
        raise UserError(f"--stream writes one mix to standard output and no file; leave out {other}")
    if raw and not stream:
        raise UserError("--raw says how --stream writes; add --stream, or leave it out")


def _check_guidance(settings: Settings) -> None:
    """Refuse an interval that is none, or that nothing happens in."""
    if settings.guidance_interval is None:
        return
    performing.parse_interval(settings.guidance_interval)
    if settings.guidance_scale == 1:
        raise UserError(
            "--guidance 1 guides nowhere, so --guidance-interval changes nothing; leave one of them out"
        )


def _load(model: str, settings: Settings) -> Player:
    """The model, with the vocoder and the arithmetic that were chosen."""
    return rendering.load_pipeline(model, settings.threads, vocoder=settings.vocoder, int8=settings.int8)


def _file(score: Path, output: Path, model: str, settings: Settings, *, sidecar: bool) -> None:
    """Write one audio file, after everything that can be wrong with it has been looked at."""
    from ondes.audio import check_output  # noqa: PLC0415

    check_output(output)
    beside = record_beside(output) if sidecar else None
    notes = rendering.open_notes(score)
    check_output(output, duration_s=notes.duration_s)
    source = performing.score_source(score, output.parent)
    pipeline = _load(model, settings)
    made = rendering.play_to_file(pipeline, notes, settings, output, label=score.name)
    if beside:
        performing.describe(
            output.parent, pipeline=pipeline, score=source, model=model, settings=settings, output=made
        ).write(beside)


def _stems(score: Path, folder: Path, model: str, settings: Settings, *, sidecar: bool) -> None:
    """Write a folder of stems, all of them or none."""
    rendering.check_stem_folder(folder)
    beside = folder / Path(audio_writing.MIX_FILE).with_suffix(".json")
    if sidecar:
        replaceable(beside)
    notes = rendering.open_notes(score)
    if not len(notes):
        raise UserError(f"{score} has no notes, so there are no parts to write; leave out --stems")
    with audio_writing.staged(folder) as staging:
        source = performing.score_source(score, folder)
        pipeline = _load(model, settings)
        made = rendering.play_to_stems(pipeline, notes, settings, staging, label=score.name)
        if sidecar:
            performing.describe(
                folder, pipeline=pipeline, score=source, model=model, settings=settings, output=made
            ).write(staging / beside.name)
    for stale in rendering.stale_stems(folder, made):
        complain(f"{folder / stale} is a stem of an earlier rendering and no part of this mix")


def _stream(score: Path, model: str, settings: Settings, *, header: bool) -> None:
    """Send the music down standard output as it is made."""
    with streaming.standard_output() as sink:
        notes = rendering.open_notes(score)
        pipeline = _load(model, settings)
        streaming.play_to_stream(pipeline, notes, settings, sink, header=header, label=score.name)
