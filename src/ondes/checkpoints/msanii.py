"""Reads the published checkpoint of Msanii, `msanii.pt`: transforms, vocoder and U-Net with their settings in one file.

Settings are mappings of diffusers', and lists in them may be containers of OmegaConf that drag the author's whole
training configuration along; neither OmegaConf nor the original program is needed, and none of their code runs.
The names of its tensors become ours part by part, see `UNET_NAMES` and `VOCODER_NAMES`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.checkpoints.restricted_pickle import ALLOWED
from ondes.checkpoints.spectrogram_parts import build
from ondes.checkpoints.torch_archive import StandIn, read_torch_archive
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.representations.msanii_mel import EPSILON, MelScaling, MsaniiFeatures, MsaniiSpec, msanii_filters

SUFFIX = ".pt"
MAPPINGS = (("diffusers.configuration_utils", "FrozenDict"),)
PACKAGES = ("omegaconf", "msanii", "typing")
"""Whose classes appear in the settings."""

PARTS = ("transforms_config", "vocoder_config", "unet_config", "scheduler_config")
STATES = ("transforms_state_dict", "vocoder_state_dict", "unet_state_dict")

_RESIDUAL = (
    (r"\bin_fn\.1\.", "spatial."),
    (r"\bout_fn\.1\.", "widen."),
    (r"\bout_fn\.3\.", "narrow."),
    (r"\btimestep_fn\.", "time."),
)

UNET_NAMES: tuple[tuple[str, str], ...] = (
    (r"^input_fn\.1\.", "input."),
    (r"^output_fn\.0\.", "output."),
    (r"^timestep_embedding\.fn\.", "time."),
    (r"\battention_fn\.in_fn\.1\.", "attention.project."),
    (r"\battention_fn\.out_fn\.", "attention.out."),
    (r"\bin_residual_fn\.", "before."),
    (r"\bout_residual_fn\.", "after."),
    (r"\bresidual_fn\.residual_fn\.", "residual.shortcut."),
    (r"\bresidual_fn\.", "residual."),
    (r"^encoder_blocks\.", "encoder."),
    (r"^decoder_blocks\.", "decoder."),
    (r"^middle_block\.", "middle."),
    *_RESIDUAL,
)
"""What a name of a tensor of the published U-Net becomes, rule by rule; numbers of blocks stay."""

VOCODER_NAMES: tuple[tuple[str, str], ...] = (
    (r"^fn\.0\.1\.", "input."),
    (r"^fn\.1\.", "residual."),
    (r"^fn\.2\.0\.", "output."),
    *_RESIDUAL,
)
"""The same of the vocoder."""

UNET_SETTINGS = {
    "d_freq": "bands",
    "d_base": "width",
    "d_hidden_factor": "hidden_factor",
    "d_multipliers": "multipliers",
    "d_timestep": "time_size",
    "dilations": "dilations",
    "n_heads": "heads",
    "has_attention": "attention",
    "has_resampling": "resampling",
    "n_block_layers": "blocks",
}
VOCODER_SETTINGS = {"n_mels": "bands", "d_model": "width", "d_hidden_factor": "hidden_factor"}

TRANSFORM_DEFAULTS: dict[str, Any] = {
    "sample_rate": 44_100,
    "n_fft": 2048,
    "win_length": None,
    "hop_length": None,
    "n_mels": 128,
    "feature_range": (-1.0, 1.0),
    "eps": EPSILON,
    "clip": True,
    "num_griffin_lim_iters": 100,
    "griffin_lim_momentum": 0.99,
}
SCHEDULER_DEFAULTS: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "squaredcos_cap_v2",
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "epsilon",
}

ADVICE = "give msanii.pt, or a file that the same program saved"


@dataclass(frozen=True, eq=False)
class MsaniiParts:
    """An imported model.

    Attributes:
        unet: The network, with how audio becomes features in its settings.
        vocoder: The network that makes magnitudes, with the same.
        scheduler: Settings of DDIM of diffusers.
        griffin_lim: Iterations and momentum.
        hashes: SHA-256 of the file, by its name.
    """

    unet: MsaniiUNet
    vocoder: MsaniiVocoder
    scheduler: dict[str, Any]
    griffin_lim: dict[str, Any]
    hashes: dict[str, str]


def read_msanii(file: Path) -> MsaniiParts:
    """The model in a published checkpoint, which keeps the arithmetic it was trained with.

    Args:
        file: As the original program's `save_pretrained` wrote it, with plain settings or with OmegaConf's.

    Raises:
        UserError: If it is damaged, needs foreign code, or is another model.
    """
    content = read_torch_archive(file, mappings=MAPPINGS, packages=PACKAGES)
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no parts with names; {ADVICE}")
    missing = [name for name in (*PARTS, *STATES) if not isinstance(content.get(name), dict)]
    if missing:
        raise UserError(f"{file} has no {missing[0]}; {ADVICE}")
    try:
        settings = {name: _plain_settings(content[name]) for name in PARTS}
    except ValueError as error:
        raise UserError(f"{file}: its settings cannot be read ({error}); {ALLOWED}") from None
    states = {name: _tensors(content[name], name, file) for name in STATES}
    transforms = TRANSFORM_DEFAULTS | settings["transforms_config"]
    features = _features(transforms, states["transforms_state_dict"], file)
    unet = {
        ours: settings["unet_config"][name]
        for name, ours in UNET_SETTINGS.items()
        if name in settings["unet_config"]
    }
    vocoder = {
        ours: settings["vocoder_config"][name]
        for name, ours in VOCODER_SETTINGS.items()
        if name in settings["vocoder_config"]
    }
    config = features.to_config()
    return MsaniiParts(
        unet=build(
            MsaniiUNet, unet | {"features": config}, renamed(states["unet_state_dict"], UNET_NAMES), file
        ),
        vocoder=build(
            MsaniiVocoder,
            vocoder | {"bins": features.spec.bins, "features": config},
            renamed(states["vocoder_state_dict"], VOCODER_NAMES),
            file,
        ),
        scheduler=_scheduler(settings["scheduler_config"], file),
        griffin_lim={
            "iterations": int(transforms["num_griffin_lim_iters"]),
            "momentum": float(transforms["griffin_lim_momentum"]),
        },
        hashes={file.name: file_sha256(file)},
    )


def renamed(state: Mapping[str, Tensor], rules: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """Tensors under our names; what no rule knows keeps its own."""
    return {_our_name(name, rules): value for name, value in state.items()}


def _our_name(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def _plain_settings(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings as numbers, text and lists of them."""
    return {str(name): _unwrapped(value) for name, value in settings.items() if not str(name).startswith("_")}


def _unwrapped(value: Any) -> Any:
    """A value without OmegaConf around it.

    Raises:
        ValueError: If it is neither a number, text or nothing, nor a list of those.
    """
    value = _content(value)
    if isinstance(value, list | tuple):
        value = [_content(entry) for entry in value]
        strange = [entry for entry in value if not isinstance(entry, bool | int | float | str)]
    else:
        value = None if isinstance(value, dict) and not value else value
        strange = [] if value is None or isinstance(value, bool | int | float | str) else [value]
    if strange:
        raise ValueError(f"a {type(strange[0]).__name__} where a number, text or a list of them is needed")
    return value


def _content(value: Any) -> Any:
    """What a container or a node of OmegaConf holds; anything else as it is, numbers of numpy as Python's."""
    if isinstance(value, StandIn):
        value = value.state.get("_content", value.state.get("_val"))
    return value.item() if isinstance(value, np.generic) else value


def _tensors(state: Mapping[Any, Any], name: str, file: Path) -> dict[str, Tensor]:
    """The tensors of a part.

    Raises:
        UserError: If anything else is among them.
    """
    strange = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise UserError(f"{file}: {strange[0]} of {name} is no tensor; {ADVICE}")
    return {str(key): value for key, value in state.items()}


def _features(transforms: Mapping[str, Any], state: Mapping[str, Tensor], file: Path) -> MsaniiFeatures:
    """The front end and its scale in evaluation: the running values, whichever buffers else are there.

    Raises:
        UserError: If they were never fitted, are not numbers, or belong to another front end.
    """
    try:
        size = int(transforms["n_fft"])
        window = size if transforms["win_length"] is None else int(transforms["win_length"])
        hop = window // 2 if transforms["hop_length"] is None else int(transforms["hop_length"])
        spec = MsaniiSpec(int(transforms["sample_rate"]), size, hop, int(transforms["n_mels"]))
        low, high = map(float, transforms["feature_range"])
        epsilon, clip = float(transforms["eps"]), bool(transforms["clip"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: transforms_config cannot be read ({error}); {ADVICE}") from None
    if window != size or not math.isclose(epsilon, EPSILON):
        raise UserError(
            f"{file}: a window of {window} in {size} samples and eps {epsilon}; only whole windows and eps {EPSILON} "
            "are known"
        )
    if not 64 <= size <= 2**16 or not 1 <= spec.bands <= size // 2 or hop < 1 or spec.sample_rate_hz < 1:
        raise UserError(f"{file}: no front end has {size} samples a frame, hop {hop} and {spec.bands} bands")
    for scaler in ("standard_scaler", "minmax_scaler"):
        if not bool(_number(state, f"{scaler}.fitted", file)):
            raise UserError(f"{file}: its {scaler} was never fitted: it was saved before any training")
    filters = state.get("mel_scale.fb")
    ours = msanii_filters(spec).T
    if filters is not None and (
        filters.shape != ours.shape or not torch.allclose(filters.float(), ours, atol=1e-3)
    ):
        raise UserError(f"{file}: its mel filters are not those of its settings; {ADVICE}")
    running = ("standard_scaler.running_mean", "standard_scaler.running_var")
    ends = ("minmax_scaler.running_min", "minmax_scaler.running_max")
    numbers = [_number(state, name, file) for name in (*running, *ends)]
    try:
        return MsaniiFeatures(spec, MelScaling(*numbers, low=low, high=high, clip=clip))
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _number(state: Mapping[str, Tensor], name: str, file: Path) -> float:
    """A buffer of one number.

    Raises:
        UserError: If there is no such buffer, or it holds more.
    """
    if name not in state or state[name].numel() != 1:
        raise UserError(f"{file} has no {name}, without which its features mean nothing; {ADVICE}")
    return float(state[name])


def _scheduler(settings: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Settings of DDIM.

    Raises:
        UserError: If the network does not answer with noise, or the schedule is not known.
    """
    known = SCHEDULER_DEFAULTS | {name: settings[name] for name in SCHEDULER_DEFAULTS if name in settings}
    wrong = [name for name, value in SCHEDULER_DEFAULTS.items() if type(known[name]) is not type(value)]
    if wrong or known["prediction_type"] != "epsilon" or not 1 <= known["num_train_timesteps"] <= 10_000:
        name = wrong[0] if wrong else "prediction_type"
        raise UserError(f"{file}: {name} is {known[name]!r}, which no published model has; {ADVICE}")
    return known
