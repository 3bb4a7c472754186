"""Where Spectrogram Diffusion models and their vocoders come from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from torch import nn

from ondes.checkpoints.spectrogram_folder import (
    INDEX,
    PUBLIC,
    is_spectrogram_folder,
    read_json,
    read_spectrogram_folder,
)
from ondes.checkpoints.spectrogram_parts import SpectrogramParts
from ondes.errors import UserError
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.int8_linear import quantise_measured
from ondes.models.mel_decoder import FramedGriffinLim, OnnxMelDecoder
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.pipelines.bundled import NETWORK_CONFIG, bundled_models, resolve, verify_names, verify_saved
from ondes.pipelines.loading import LOADING_ERRORS, quiet_loading, reason
from ondes.pipelines.segment_network import BaselineNetwork, SegmentNetwork
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler

log = logging.getLogger(__name__)

OWN_CLASS = "SpectrogramDiffusionPipeline"
"""What the index of a model of this kind says that it is."""

PROBE_TOKENS = 33
"""Of a probe on which the error of 8-bit layers is measured."""

PUBLISHED_STEPS = 20
"""Of DPM-Solver++ for weights that bring no default."""


def load_spectrogram_pipeline(
    kind: Callable[..., Any],
    load_own: Callable[..., Any],
    name: str | Path,
    *,
    vocoder: Any,
    int8: bool,
    settings: Mapping[str, Any],
) -> Any:
    """What `SpectrogramDiffusionPipeline.from_pretrained` does.

    Args:
        kind: The pipeline.
        load_own: Loads our own layout with diffusers.
        name: A folder, or a Hub id.
        vocoder: As of `load_mel_decoder`, or None for the model's own.
        int8: Whether linear layers are quantised.
        settings: For `load_own`; the published layout knows the precision alone.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    if isinstance(vocoder, str | Path):
        vocoder = load_mel_decoder(vocoder)
    if not is_baseline(name) and is_published(name):
        _check_settings(name, settings)
        parts = read_spectrogram_folder(name)
        dtype = settings.get("torch_dtype", settings.get("dtype"))
        for network in (parts.notes_encoder, parts.continuous_encoder, parts.decoder):
            if network is not None and dtype is not None:
                network.to(dtype)
        pipeline = from_parts(kind, parts, vocoder=vocoder)
    elif is_baseline(name):
        pipeline = _load_baseline(kind, Path(name), vocoder=vocoder, settings=settings)
    else:
        pipeline = _load_own(load_own, name, vocoder=vocoder, settings=settings)
    if int8:
        _quantise(pipeline)
    return pipeline


def _check_settings(name: str | Path, settings: Mapping[str, Any]) -> None:
    """Refuse what only diffusers' loader would obey.

    Raises:
        UserError: If there is any setting but the precision.
    """
    unknown = sorted(settings.keys() - {"dtype", "torch_dtype"})
    if unknown:
        raise UserError(
            f"{name} is in the published layout, which is loaded without {unknown[0]!r}; 'torch_dtype' is allowed: "
            "'ondes import' it to choose more"
        )


def from_parts(kind: Callable[..., Any], parts: SpectrogramParts, *, vocoder: Any = None) -> Any:
    """A pipeline of the networks of a published layout, sampled by DPM-Solver++ on the schedule of their training."""
    if vocoder is None and parts.melgan is not None:
        vocoder = OnnxMelDecoder.from_pretrained(parts.melgan)
    prediction = str(parts.scheduler.get("prediction_type", "epsilon"))
    return kind(
        parts.notes_encoder,
        parts.continuous_encoder,
        parts.decoder,
        make_spectrogram_scheduler("dpm++", prediction_type=prediction),
        vocoder,
        default_steps=PUBLISHED_STEPS,
    )


def is_published(name: str | Path) -> bool:
    """Whether a folder or Hub id is in the layout of `google/music-spectrogram-diffusion`, and not in ours.

    Raises:
        UserError: If the Hub does not give its model_index.json.
    """
    folder = Path(name)
    if folder.is_dir():
        return is_spectrogram_folder(folder)
    place = resolve(name, kind="synthesiser", config=INDEX)
    if isinstance(place, Path):
        return is_spectrogram_folder(place)
    if place == PUBLIC:
        return True
    entry = hub_index(place).get("notes_encoder")
    return not (isinstance(entry, list) and str(entry[0]).startswith("ondes"))


def is_baseline(name: str | Path) -> bool:
    """Whether a folder holds the autoregressive baseline, as training and `ondes import` save it.

    Raises:
        UserError: If its settings are damaged.
    """
    file = Path(name) / NETWORK_CONFIG
    bare = file.is_file() and not (Path(name) / INDEX).is_file()
    return bare and read_json(file).get("_class_name") == SpectrogramAutoregressive.__name__


def _load_baseline(
    kind: Callable[..., Any], folder: Path, *, vocoder: Any, settings: Mapping[str, Any]
) -> Any:
    """A pipeline around the autoregressive baseline."""
    verify_saved(folder)
    try:
        with quiet_loading():
            network = SpectrogramAutoregressive.from_pretrained(
                str(folder), **{"low_cpu_mem_usage": False, "use_safetensors": True, **settings}
            )
    except LOADING_ERRORS as error:
        raise UserError(f"{folder} cannot be loaded as the baseline: {reason(error)}") from error
    verify_names(folder, network.state_dict())
    # Weights of others were trained with the programs of Slakh's classes.
    return kind(
        None,
        None,
        network,
        None,
        vocoder,
        codec=network.config.get("codec"),
        programs="slakh" if network.official else "as-is",
        default_steps=1,
        default_guidance=1.0,
    )


def hub_index(hub_id: str) -> dict[str, Any]:
    """The model_index.json of a model on the Hub.

    Raises:
        UserError: If it cannot be fetched or read.
    """
    try:
        return read_json(Path(hf_hub_download(hub_id, INDEX)))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{hub_id} cannot be fetched from the Hub ({reason(error)}); check the name and the network, "
            "or give a folder"
        ) from error


def _load_own(
    load: Callable[..., Any], name: str | Path, *, vocoder: Any, settings: Mapping[str, Any]
) -> Any:
    """A pipeline that `save_pretrained` wrote."""
    place = resolve(name, kind="synthesiser", config=INDEX)
    # diffusers takes no component of another class than the saved one: it is left out, and set afterwards.
    chosen = {} if vocoder is None else {"melgan": None}
    if isinstance(place, Path):
        made = read_json(place / INDEX).get("_class_name")
        if made != OWN_CLASS:
            raise UserError(
                f"{name} cannot be loaded as a Spectrogram Diffusion model, it is a {made}; give another model"
            )
        verify_saved(place, given={*settings, *chosen})
    try:
        with quiet_loading():
            pipeline = load(
                str(place), **{"low_cpu_mem_usage": False, "use_safetensors": True, **settings, **chosen}
            )
    except LOADING_ERRORS as error:
        raise UserError(
            f"{name} cannot be loaded as a Spectrogram Diffusion model: {reason(error)}"
        ) from error
    if vocoder is not None:
        pipeline.register_modules(melgan=vocoder.eval())
    for part in ("notes_encoder", "continuous_encoder", "decoder"):
        network = getattr(pipeline, part)
        if isinstance(network, nn.Module):
            if isinstance(place, Path):
                verify_names(place / part, network.state_dict())
            if not {"dtype", "torch_dtype"} & settings.keys():
                network.float()
    return pipeline


def _quantise(pipeline: Any) -> None:
    """Make the decoder's linear layers compute with 8 bits, and log the error this makes.

    Raises:
        UserError: If this processor cannot.
    """
    network: SegmentNetwork | BaselineNetwork = pipeline.network
    if isinstance(network, BaselineNetwork):
        raise UserError("the autoregressive baseline does not compute with 8 bits; leave int8 out")
    # Integers are no weights that could be hashed.
    pipeline.exact_hash = pipeline.model_hash
    with torch.no_grad():
        memory = network.encode([np.arange(1, PROBE_TOKENS)], None)
    noise = torch.randn(1, network.frames, network.bands, generator=torch.Generator().manual_seed(0))
    try:
        error = quantise_measured(
            pipeline.decoder, lambda: network.denoise(noise, torch.full((1,), 0.5), memory)
        )
    except ValueError as problem:
        raise UserError(f"int8 is not possible here: {reason(problem)}; leave it out") from problem
    log.info("8-bit linear layers change the answer to noise by %.2f %%", 100 * error)
    pipeline.int8_error = error


def default_mel_decoder() -> Any:
    """The bundled vocoder for log-mels with 50 frames a second, or Griffin-Lim where none is bundled."""
    for model in bundled_models():
        if model.kind == "vocoder" and _class_name(model.path) == FramedVocoder.__name__:
            return load_mel_decoder(model.name)
    return FramedGriffinLim().eval()


def load_mel_decoder(place: Any) -> Any:
    """A vocoder for log-mels with 50 frames a second.

    Args:
        place: "griffin-lim"; a bundled name; a folder that a `FramedVocoder` was saved in; an ONNX file, a folder with
            `model.onnx`, or the Hub id of either; or a vocoder, which is given back.

    Raises:
        UserError: If there is no such vocoder, or it cannot be loaded.
    """
    if not isinstance(place, str | Path):
        return place
    if str(place) == "griffin-lim":
        return FramedGriffinLim().eval()
    bundled = {model.name: model.path for model in bundled_models() if model.kind == "vocoder"}
    folder = bundled.get(str(place), Path(place))
    if not (folder / "config.json").is_file() or (folder / "model.onnx").is_file():
        return OnnxMelDecoder.from_pretrained(place)
    made = _class_name(folder)
    if made not in (FramedVocoder.__name__, FramedGriffinLim.__name__):
        raise UserError(
            f"{place} is a {made}, which is no vocoder for log-mels of 16 kHz and 50 frames a second; give a "
            "FramedVocoder, an ONNX mel decoder or 'griffin-lim'"
        )
    verify_saved(folder)
    kind = FramedVocoder if made == FramedVocoder.__name__ else FramedGriffinLim
    try:
        with quiet_loading(), torch.no_grad():
            vocoder = kind.from_pretrained(str(folder), low_cpu_mem_usage=False, use_safetensors=True)
    except LOADING_ERRORS as error:
        raise UserError(f"{place} cannot be loaded as a vocoder: {reason(error)}") from error
    verify_names(folder, vocoder.state_dict())
    return vocoder.eval()


def _class_name(folder: Path) -> str:
    """The class of a saved network.

    Raises:
        UserError: If its config.json is damaged.
    """
    try:
        return str(json.loads((folder / "config.json").read_bytes()).get("_class_name"))
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(f"{folder / 'config.json'} is damaged; give another vocoder") from error
