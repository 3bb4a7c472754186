"""Spectrogram Diffusion models of other programs become ours, and ours become theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ondes.checkpoints.paddle import is_paddle_folder, read_paddle
from ondes.checkpoints.port_lightning import PortParts, read_port
from ondes.checkpoints.spectrogram_folder import (
    HUB_ID,
    INDEX,
    is_spectrogram_folder,
    read_json,
    read_spectrogram_folder,
    write_spectrogram_folder,
)
from ondes.checkpoints.spectrogram_parts import KINDS, PUBLIC_SCHEDULER, SpectrogramParts
from ondes.checkpoints.t5x import BaselineParts, find_t5x, read_t5x
from ondes.errors import UserError, nearest
from ondes.files import folder_written_whole
from ondes.models.mel_decoder import OnnxMelDecoder
from ondes.models.port_spectrogram_diffusion import PortDiffusion
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_loading import PUBLISHED_STEPS, from_parts, is_baseline, is_published
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler
from ondes.representations.events import Mt3Codec
from ondes.representations.framed_mel import FEATURE_RANGE

SOURCE = "source.json"
"""File in an imported model's folder that says where it came from."""

READERS: dict[str, Callable[[Any], SpectrogramParts | PortParts | BaselineParts]] = {
    "huggingface": read_spectrogram_folder,
    "t5x": read_t5x,
    "paddle": read_paddle,
    "port": read_port,
}
"""Layouts by the names people type."""

LAYOUTS_TOLD = (
    "a folder with notes_encoder and decoder (Hugging Face or PaddleNLP), a folder with checkpoint or "
    "checkpoint_<steps> (T5X), or a .ckpt file (the PyTorch port)"
)

PORT_LEAD_FRAMES = 1
"""The port centres its frames: each is the official one that begins half a window, rounded to a frame, before."""


def detect_layout(source: str) -> str:
    """The layout of a model.

    Args:
        source: A folder, a file, or a Hub id.

    Returns:
        A name in `READERS`.

    Raises:
        UserError: If it is in none of them, or one of ours already.
    """
    place = Path(source)
    if place.is_file():
        if place.suffix == ".zip":
            raise UserError(f"{source} is packed; unzip it, and give the folder")
        return "port"
    if not place.is_dir():
        if HUB_ID.fullmatch(source) and not source.startswith("."):
            return "huggingface"
        raise UserError(f"there is no {source}; give {LAYOUTS_TOLD}, or a Hub id as 'user/name'")
    if is_paddle_folder(place):
        return "paddle"
    if find_t5x(place) is not None:
        return "t5x"
    if is_spectrogram_folder(place):
        return "huggingface"
    if (place / INDEX).is_file() and _is_ours(place):
        raise UserError(f"{source} is in the layout of ondes already; give it to --model as it is")
    if any((place / part).is_dir() for part in KINDS):
        return "huggingface"
    raise UserError(f"{source} holds no model that is known; give {LAYOUTS_TOLD}")


def _is_ours(folder: Path) -> bool:
    """Whether any part of a saved pipeline is a class of ours."""
    entries = [entry for entry in read_json(folder / INDEX).values() if isinstance(entry, list)]
    return any(str(entry[0]).startswith("ondes") for entry in entries if entry)


def import_model(source: str, folder: Path, *, layout: str | None = None) -> str:
    """Write a model of another program in our layout, with `source.json` that says where it came from.

    Args:
        source: A folder, a file, or a Hub id.
        folder: Where to; it appears when everything is written.
        layout: A name in `READERS`; detected if missing.

    Returns:
        The layout.

    Raises:
        UserError: If the source cannot be read, or the folder exists.
    """
    if layout is not None and layout not in READERS:
        raise UserError(f"there is no layout {layout!r}: {nearest(layout, READERS)}")
    layout = layout or detect_layout(source)
    if layout != "huggingface" and not Path(source).exists():
        raise UserError(f"there is no {source}; only the layout 'huggingface' is fetched by a Hub id")
    local = Path(source).exists()
    with folder_written_whole(folder) as beside:
        parts = READERS[layout](Path(source) if local else source)
        # The baseline's network is saved alone, as training saves it.
        saved = parts.network if isinstance(parts, BaselineParts) else _pipeline(parts)
        saved.save_pretrained(beside)
        # A folder is named, not placed: where it was says nothing elsewhere.
        origin = {"layout": layout, "name": Path(source).resolve().name if local else source}
        (beside / SOURCE).write_text(json.dumps({**origin, "sha256": parts.hashes}, indent=2) + "\n")
    return layout


def _pipeline(parts: SpectrogramParts | PortParts) -> SpectrogramDiffusionPipeline:
    """A pipeline of parts, with the tokens and the scaling that they were trained with."""
    if isinstance(parts, SpectrogramParts):
        return from_parts(SpectrogramDiffusionPipeline, parts)
    return SpectrogramDiffusionPipeline(
        None,
        None,
        parts.network,
        make_spectrogram_scheduler("dpm++"),
        codec={"name": "port"},
        programs="as-is",
        feature_range=parts.feature_range,
        lead_frames=PORT_LEAD_FRAMES,
        default_steps=PUBLISHED_STEPS,
    )


def export_model(model: str, folder: Path) -> list[str]:
    """Write a Spectrogram Diffusion model in the layout that diffusers knows.

    Args:
        model: A folder of ours or in that layout, or a Hub id.
        folder: Where to; it appears when everything is written.

    Returns:
        What diffusers' own pipeline will not do as ours does, a sentence each.

    Raises:
        UserError: If there is no such model, it is of another kind, or the folder exists.
    """
    if not is_baseline(model) and is_published(model):
        parts, notes = read_spectrogram_folder(model), []
    else:
        pipeline = SpectrogramDiffusionPipeline.from_pretrained(model)
        parts, notes = _parts(pipeline, model), _differences(pipeline)
    if parts.continuous_encoder is None:
        notes.append("diffusers has no pipeline without context; load its networks one by one")
    write_spectrogram_folder(parts, folder)
    return notes


def export_graphs(model: str, folder: Path, engine: str, *, int8: bool = False) -> float | None:
    """Write the networks of a Spectrogram Diffusion model as graphs for another engine.

    Args:
        model: As of `export_model`.
        folder: Where to; it appears when everything is written.
        engine: A name in `ondes.checkpoints.spectrogram_graphs.WRITERS`.
        int8: Whether to write the decoder with 8-bit products as well, which "onnx" alone can.

    Returns:
        The relative error of that decoder's answer to noise.

    Raises:
        UserError: As of `export_model`, or if a package that this needs is missing, or the engine has no 8 bits.
    """
    from ondes.checkpoints.spectrogram_graphs import WRITERS  # noqa: PLC0415

    if int8 and engine != "onnx":
        raise UserError(f"no 8 bits for {engine!r}; 'onnx' has them: pass --to onnx, or leave out --int8")
    if not is_baseline(model) and is_published(model):
        parts = read_spectrogram_folder(model)
    else:
        parts = _parts(SpectrogramDiffusionPipeline.from_pretrained(model), model)
    return WRITERS[engine](parts, folder, **({"int8": True} if int8 else {}))


def _parts(pipeline: SpectrogramDiffusionPipeline, model: str) -> SpectrogramParts:
    """The parts that the layout has a place for.

    Raises:
        UserError: If the networks are those of the PyTorch port.
    """
    if isinstance(pipeline.decoder, PortDiffusion) or pipeline.notes_encoder is None:
        what = (
            "a network of the PyTorch port" if isinstance(pipeline.decoder, PortDiffusion) else "the baseline"
        )
        raise UserError(
            f"{model} is {what}, which diffusers does not have; export a model of the published architecture"
        )
    prediction = pipeline.scheduler.config.get("prediction_type", "epsilon")
    return SpectrogramParts(
        notes_encoder=pipeline.notes_encoder,
        continuous_encoder=pipeline.continuous_encoder,
        decoder=pipeline.decoder,
        scheduler={**PUBLIC_SCHEDULER, "prediction_type": prediction},
        melgan=pipeline.melgan.file if isinstance(pipeline.melgan, OnnxMelDecoder) else None,
        hashes={},
    )


def _differences(pipeline: SpectrogramDiffusionPipeline) -> list[str]:
    """What of a pipeline has no place in the layout."""
    notes = []
    if pipeline.melgan is not None and not isinstance(pipeline.melgan, OnnxMelDecoder):
        notes.append(
            "the vocoder is left out: the layout holds only ONNX; diffusers' pipeline gives out log-mels"
        )
    if pipeline.codec.name != Mt3Codec.name:
        notes.append(
            f"the model reads tokens of the codec {pipeline.codec.name!r}, which diffusers does not make"
        )
    if tuple(pipeline.config["feature_range"]) != FEATURE_RANGE:
        notes.append("log-mels are scaled otherwise than diffusers' pipeline takes for granted")
    return notes
