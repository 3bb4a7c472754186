"""What all pipelines need to load models: quietly, with one-line errors, in arithmetic the hardware is good at."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    get_verbosity,
    is_progress_bar_enabled,
    set_verbosity,
    set_verbosity_error,
)

from ondes.checkpoints.bigvgan import is_bigvgan, read_bigvgan, read_config
from ondes.errors import UserError
from ondes.models.bigvgan import BigVGAN
from ondes.models.griffin_lim import GriffinLim
from ondes.models.vocoder import Vocoder
from ondes.pipelines.bundled import resolve, verify_checksums, verify_names, verify_saved

LONGEST_REASON = 300
"""Characters of a library's own words in our errors."""

LOADING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError)
"""What diffusers raises for files that are missing, damaged, or of another model."""


def load_vocoder(name: str | Path) -> Any:
    """A vocoder by bundled name, folder, Hub id, or "griffin-lim"; folders and ids may hold NVIDIA's BigVGAN.

    Raises:
        UserError: If there is no such vocoder or its weights are damaged.
    """
    if str(name) == "griffin-lim":
        return GriffinLim()
    place = resolve(name, kind="vocoder", config="config.json")
    config = read_config(place)
    if is_bigvgan(config):
        if isinstance(place, Path):
            verify_checksums(place)
        return read_bigvgan(place)
    made = config.get("_class_name", Vocoder.__name__)
    if made not in (Vocoder.__name__, BigVGAN.__name__):
        raise UserError(
            f"{name} is a {made}, which is no vocoder for this model; give a Vocoder, a BigVGAN or 'griffin-lim'"
        )
    if isinstance(place, Path):
        verify_saved(place)
    saved = BigVGAN if made == BigVGAN.__name__ else Vocoder
    try:
        with quiet_loading():
            vocoder = saved.from_pretrained(str(place), low_cpu_mem_usage=False, use_safetensors=True)
    except LOADING_ERRORS as error:
        raise UserError(f"{name} cannot be loaded as a vocoder: {reason(error)}") from error
    if isinstance(place, Path):
        verify_names(place, vocoder.state_dict())
    return vocoder


def load_with_vocoder(
    load: Callable[..., Any], name: str | Path, *, kind: str, network: str, settings: dict[str, Any]
) -> Any:
    """A pipeline of a network and a vocoder; where it was saved without one, "vocoder-small" is its vocoder.

    Args:
        load: diffusers' `from_pretrained` of the pipeline's class.
        name: A bundled name, a folder that `save_pretrained` wrote, or the id of a model on the Hub.
        kind: Which bundled models are meant.
        network: Name of the network in the pipeline.
        settings: Of `load`; `vocoder` may also be what `load_vocoder` takes.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    place = resolve(name, kind=kind, config="model_index.json")
    vocoder = settings.pop("vocoder", None)
    if isinstance(place, Path):
        if vocoder is None and not (place / "vocoder").is_dir():
            vocoder = "vocoder-small"
        verify_saved(place, given={"vocoder", *settings} if vocoder is not None else settings)
    if isinstance(vocoder, str | Path):
        vocoder = load_vocoder(vocoder)
    if vocoder is not None:
        settings["vocoder"] = vocoder
    try:
        with quiet_loading():
            pipeline = load(str(place), **{"low_cpu_mem_usage": False, "use_safetensors": True, **settings})
    except LOADING_ERRORS as error:
        raise UserError(f"{name} cannot be loaded as {article(kind)}: {reason(error)}") from error
    for part in {network, "vocoder"} - settings.keys():
        if isinstance(place, Path):
            verify_names(place / part, getattr(pipeline, part).state_dict())
    if not {"dtype", "torch_dtype"} & settings.keys():
        # Weights may be stored as halves.
        getattr(pipeline, network).float()
        pipeline.vocoder.float()
    return pipeline


def article(kind: str) -> str:
    """A kind of model with its article, as in "an audio model"."""
    return f"an {kind} model" if kind == "audio" else f"a {kind}"


def weights_hash(settings: Sequence[Mapping[str, Any]], networks: Sequence[Any]) -> str:
    """SHA-256 over settings, and over settings and the names and values of all weights of networks, hexadecimal."""
    digest = hashlib.sha256()
    for config in [*settings, *(network.config for network in networks)]:
        public = {name: value for name, value in config.items() if not name.startswith("_")}
        digest.update(json.dumps(public, sort_keys=True, default=str).encode())
    for network in networks:
        for name, value in sorted(network.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def reason(error: Exception) -> str:
    """Why something cannot be loaded, in one line that is not too long."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Without diffusers' progress bar, which three small files do not need, and its warnings: we check more."""
    shown, verbosity = is_progress_bar_enabled(), get_verbosity()
    disable_progress_bar()
    set_verbosity_error()
    try:
        yield
    finally:
        set_verbosity(verbosity)
        if shown:
            enable_progress_bar()


def fast_arithmetic(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 for matrix products where the hardware multiplies it fast; elsewhere nothing changes."""
    if device.type == "cuda" or (device.type == "cpu" and cpu_multiplies_bfloat16()):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16; without them it is a hundred times slower."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    abilities = ask() if ask else {}
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
