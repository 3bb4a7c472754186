"""Reads BigVGAN vocoders as NVIDIA publishes them: `config.json` and `bigvgan_generator.pt`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor

from ondes.errors import UserError
from ondes.models.bigvgan import BigVGAN, low_pass_taps
from ondes.representations.mel import MEL

CONFIG, WEIGHTS = "config.json", "bigvgan_generator.pt"

PUBLIC = "nvidia/bigvgan_v2_44khz_128band_512x"
"""Hub id of the model that fits."""

MEL_LAYOUT: dict[str, tuple[Any, ...]] = {
    "sampling_rate": (MEL.sample_rate_hz,),
    "num_mels": (MEL.bands,),
    "n_fft": (MEL.fft_size,),
    "win_size": (MEL.fft_size,),
    "hop_size": (MEL.hop_samples,),
    "fmin": (0,),
    "fmax": (None, MEL.sample_rate_hz / 2),
}
"""What the configuration says of the mel front end, and the values that are ours."""

VARIANT: dict[str, tuple[Any, ...]] = {
    "resblock": ("1", 1),
    "activation": ("snakebeta",),
    "snake_logscale": (True,),
}
"""What distinguishes versions of the network, and the values of the one we have."""

SIZES = {
    "width": "upsample_initial_channel",
    "upsample_rates": "upsample_rates",
    "upsample_kernels": "upsample_kernel_sizes",
    "block_kernels": "resblock_kernel_sizes",
    "block_dilations": "resblock_dilation_sizes",
}
"""Arguments of `BigVGAN` and where the configuration has them."""

NORMED = {
    ".weight_g": (".weight_v", ".weight"),
    ".parametrizations.weight.original0": (".parametrizations.weight.original1", ".weight"),
}
"""Endings of the lengths that weight normalisation keeps, of the directions, and of what both make."""


def fetch(place: Path | str, name: str) -> Path:
    """A file of a model.

    Args:
        place: A folder, or the id of a model on the Hub, for which alone the network is reached.
        name: Of the file.

    Raises:
        UserError: If it is not there.
    """
    if isinstance(place, Path):
        if not (place / name).is_file():
            raise UserError(f"{place} has no {name}; give a folder that holds {CONFIG} and {WEIGHTS}")
        return place / name
    try:
        return Path(hf_hub_download(place, name))
    except (OSError, ValueError, EntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{place} on the Hub has no {name} that can be fetched ({reason}); check the name and the network, or "
            "give a folder"
        ) from error


def read_config(place: Path | str) -> dict[str, Any]:
    """What a model's config.json says.

    Raises:
        UserError: If there is none, or it is not a JSON object.
    """
    file = fetch(place, CONFIG)
    try:
        config = json.loads(file.read_bytes())
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}); fetch it again") from error
    if not isinstance(config, dict):
        raise UserError(f"{file} holds a {type(config).__name__}; an object with named settings is needed")
    return config


def is_bigvgan(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is one of NVIDIA's."""
    return SIZES["width"] in config


def read_bigvgan(place: Path | str) -> BigVGAN:
    """The vocoder in a folder or on the Hub, its weight normalisation multiplied out.

    The weights are a pickle, of which only tensors are taken: it can run no code. Nothing is built that the file has
    no weights for.

    Args:
        place: A folder with `config.json` and `bigvgan_generator.pt`, or the id of such a model on the Hub.

    Raises:
        UserError: If a file is missing or damaged, the mel layout is not ours, or weights and sizes differ.
    """
    config = read_config(place)
    settings = read_settings(config, place)
    try:
        with torch.device("meta"):
            planned = {name: value.shape for name, value in BigVGAN(**settings).state_dict().items()}
    except (ValueError, RuntimeError, OverflowError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{place}: {CONFIG} describes no network ({reason}); fetch it again") from error
    weights = read_weights(fetch(place, WEIGHTS))
    check_weights(weights, planned, place)
    vocoder = BigVGAN(**settings)
    vocoder.load_state_dict(weights)
    return vocoder.eval()


def read_settings(config: Mapping[str, Any], place: Path | str) -> dict[str, Any]:
    """The arguments of `BigVGAN` that a configuration of NVIDIA's means.

    Raises:
        UserError: If it is for another mel layout or another version of the network, or a size is no whole number.
    """
    for key, allowed in (MEL_LAYOUT | VARIANT).items():
        value = config.get(key, allowed[0] if key == "win_size" else "missing")
        if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
            words = " or ".join(json.dumps(item) for item in allowed)
            raise UserError(f"{place}: {key} is {json.dumps(value)}, but must be {words}; use {PUBLIC}")
    settings: dict[str, Any] = {ours: config.get(theirs) for ours, theirs in SIZES.items()}
    shapes = {"width": 0, "block_dilations": 2}
    for ours, value in settings.items():
        if not whole_numbers(value, depth=shapes.get(ours, 1)):
            raise UserError(
                f"{place}: {SIZES[ours]} is {json.dumps(value)}, but must be whole numbers as in {PUBLIC}"
            )
    if math.prod(settings["upsample_rates"]) != MEL.hop_samples:
        raise UserError(
            f"{place}: upsample_rates are {settings['upsample_rates']}, but must multiply to {MEL.hop_samples}; "
            f"use {PUBLIC}"
        )
    # Both are true where they are missing, as in models older than the settings.
    settings["final_bias"] = bool(config.get("use_bias_at_final", True))
    settings["final_tanh"] = bool(config.get("use_tanh_at_final", True))
    return settings


def whole_numbers(value: Any, *, depth: int) -> bool:
    """Whether a value is a whole number, or lists in lists of them, this deep."""
    if depth == 0:
        return type(value) is int
    return isinstance(value, list) and all(whole_numbers(item, depth=depth - 1) for item in value)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The generator's tensors under the names that `BigVGAN` has for them.

    Raises:
        UserError: If the file is damaged or holds anything but tensors.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{file} cannot be read as weights ({reason}); fetch it again") from error
    state = content.get("generator") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} holds no tensors under 'generator'; give the file {WEIGHTS} of a BigVGAN")
    return fold_weight_norm(drop_filters(state, file))


def drop_filters(state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The weights without the copies of the low-pass filter, which must be the one we compute.

    Raises:
        UserError: If a filter differs.
    """
    for name, value in state.items():
        if name.endswith(".filter") and not (
            value.numel() == len(low_pass_taps())
            and torch.allclose(value.flatten().float(), low_pass_taps(), atol=1e-4)
        ):
            raise UserError(f"{file}: {name} is not the filter of BigVGAN; use {PUBLIC}")
    return {name: value for name, value in state.items() if not name.endswith(".filter")}


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights from lengths and directions (Salimans and Kingma 2016, arXiv 1602.07868, equation 2).

    Both of torch's ways to name them are known; lengths are taken over all axes but the first. Other tensors stay.
    """
    folded = dict(state)
    for name in state:
        for length, (direction, whole) in NORMED.items():
            stem = name.removesuffix(length)
            if stem != name and stem + direction in state:
                g, v = folded.pop(name).float(), folded.pop(stem + direction).float()
                norm = torch.linalg.vector_norm(v, dim=tuple(range(1, v.ndim)), keepdim=True)
                folded[stem + whole] = v * (g / norm)
    return folded


def check_weights(
    weights: Mapping[str, Tensor], planned: Mapping[str, torch.Size], place: Path | str
) -> None:
    """Refuse weights that are not those of the planned network.

    Raises:
        UserError: With the first name that is missing or not known, or whose shape or values cannot be.
    """
    for name, shape in planned.items():
        if name not in weights:
            raise UserError(f"{place}: {WEIGHTS} lacks {name}, which {CONFIG} asks for; fetch both again")
        if weights[name].shape != shape:
            raise UserError(
                f"{place}: {name} is {tuple(weights[name].shape)} in {WEIGHTS}, but {tuple(shape)} by {CONFIG}; "
                "fetch both again"
            )
        if not weights[name].isfinite().all():
            raise UserError(f"{place}: {name} is not finite; fetch {WEIGHTS} again")
    extra = sorted(set(weights) - set(planned))
    if extra:
        raise UserError(
            f"{place}: {WEIGHTS} has {extra[0]}, of which {CONFIG} knows nothing; fetch both again"
        )
