"""Writes checkpoints as the published program of Msanii did, by the names of its tensors, without that program."""

from __future__ import annotations

import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, List  # noqa: UP035  what old configurations are annotated with

import torch
from diffusers.configuration_utils import FrozenDict
from torch import Tensor, nn

from ondes.models.msanii_unet import Block, LinearAttention, MsaniiUNet, ResidualBlock
from ondes.models.msanii_vocoder import MsaniiVocoder

TRANSFORMS = {
    "sample_rate": 8000,
    "n_fft": 64,
    "n_mels": 6,
    "feature_range": [-1, 1],
    "eps": 1e-5,
    "clip": True,
}
UNET = {
    "d_freq": 6,
    "d_base": 8,
    "d_hidden_factor": 2,
    "d_multipliers": [1, 1, 1],
    "d_timestep": 8,
    "dilations": [1, 2, 1],
    "n_heads": 2,
    "has_attention": [False, True, True],
    "has_resampling": [True, True, False],
    "n_block_layers": [2, 1, 2],
}
VOCODER = {"n_fft": 64, "n_mels": 6, "d_model": 8, "d_hidden_factor": 2}
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "_class_name": "DDIMScheduler",
}
RUNNING = {
    "standard_scaler.running_mean": -2.0,
    "standard_scaler.running_var": 19.0,
    "minmax_scaler.running_min": -2.2,
    "minmax_scaler.running_max": 1.7,
}

State = OrderedDict[str, Tensor]


def networks() -> tuple[MsaniiUNet, MsaniiVocoder]:
    """The networks that the file holds, under our names."""
    torch.manual_seed(5)
    unet = MsaniiUNet(
        6, 8, 2, (1, 1, 1), 8, (1, 2, 1), 2, (False, True, True), (True, True, False), (2, 1, 2)
    )
    return unet.eval(), MsaniiVocoder(6, 33, 8, 2).eval()


def _put(state: State, name: str, layer: nn.Module) -> None:
    for kind, value in layer.named_parameters(recurse=False):
        state[f"{name}.{kind}"] = value.detach()


def _residual(state: State, name: str, block: ResidualBlock) -> None:
    _put(state, f"{name}.in_fn.1", block.spatial)
    _put(state, f"{name}.out_fn.1", block.widen)
    _put(state, f"{name}.out_fn.3", block.narrow)
    if block.time is not None:
        _put(state, f"{name}.timestep_fn", block.time)
    if block.shortcut is not None:
        _put(state, f"{name}.residual_fn", block.shortcut)


def _attention(state: State, name: str, attention: LinearAttention) -> None:
    _put(state, f"{name}.in_fn.1", attention.project)
    _put(state, f"{name}.out_fn", attention.out)


def unet_state(unet: MsaniiUNet) -> State:
    """Weights of the U-Net under the published names."""
    state: State = OrderedDict()
    _put(state, "input_fn.1", unet.input)
    _put(state, "output_fn.0", unet.output)
    _put(state, "timestep_embedding.fn.0", unet.time[0])
    _put(state, "timestep_embedding.fn.2", unet.time[2])
    for side, layers in (("encoder_blocks", unet.encoder), ("decoder_blocks", unet.decoder)):
        for number, layer in enumerate(layers):
            name = f"{side}.{number}"
            if not isinstance(layer, Block):
                _put(state, name, layer)
                continue
            _residual(state, f"{name}.residual_fn", layer.residual)
            if layer.attention is not None:
                _attention(state, f"{name}.attention_fn", layer.attention)
    _residual(state, "middle_block.in_residual_fn", unet.middle.before)
    _attention(state, "middle_block.attention_fn", unet.middle.attention)
    _residual(state, "middle_block.out_residual_fn", unet.middle.after)
    return state


def vocoder_state(vocoder: MsaniiVocoder) -> State:
    """The same of the vocoder."""
    state: State = OrderedDict()
    _put(state, "fn.0.1", vocoder.input)
    _residual(state, "fn.1", vocoder.residual)
    _put(state, "fn.2.0", vocoder.output)
    return state


def transforms_state(filters: Tensor) -> State:
    """The 14 buffers: windows, filters and running values; `filters` are (bins, bands)."""
    window = torch.hann_window(64)
    names = ("spectrogram", "complex_spectrogram", "inverse_spectrogram", "griffin_lim")
    state: State = OrderedDict((f"{name}.window", window) for name in names)
    state["mel_scale.fb"], state["inverse_mel_scale.fb"] = filters, torch.linalg.pinv(filters)
    state |= {name: torch.tensor(value) for name, value in RUNNING.items()}
    for scaler in ("standard_scaler", "minmax_scaler"):
        state[f"{scaler}.momentum"], state[f"{scaler}.fitted"] = torch.tensor(1e-3), torch.tensor(True)
    return state


def content(filters: Tensor) -> dict[str, Any]:
    """The seven parts of a file, with plain settings."""
    unet, vocoder = networks()
    configs = {"transforms": TRANSFORMS, "vocoder": VOCODER, "unet": UNET, "scheduler": SCHEDULER}
    return {
        **{f"{name}_config": FrozenDict(config) for name, config in configs.items()},
        "transforms_state_dict": transforms_state(filters),
        "vocoder_state_dict": vocoder_state(vocoder),
        "unet_state_dict": unet_state(unet),
    }


def _class(module: str, name: str) -> type:
    """An empty class that pickles under a foreign name."""
    made = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


@contextmanager
def foreign_modules() -> Iterator[dict[str, type]]:
    """Modules of OmegaConf and of the original program, for as long as a file is written."""
    names = ["omegaconf", "omegaconf.base", "omegaconf.listconfig", "omegaconf.dictconfig", "omegaconf.nodes"]
    names += ["msanii", "msanii.config", "msanii.config.training_config"]
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update({name: types.ModuleType(name) for name in names})
    try:
        yield {
            "metadata": _class("omegaconf.base", "ContainerMetadata"),
            "list": _class("omegaconf.listconfig", "ListConfig"),
            "dict": _class("omegaconf.dictconfig", "DictConfig"),
            "node": _class("omegaconf.nodes", "AnyNode"),
            "training": _class("msanii.config.training_config", "TrainingConfig"),
        }
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


class _Subscripted:
    """Pickles as `typing.List[int]` did."""

    def __reduce__(self) -> Any:
        import operator  # noqa: PLC0415

        return operator.getitem, (List, (int,))  # noqa: UP006


def with_containers(plain: dict[str, Any], foreign: dict[str, type]) -> dict[str, Any]:
    """The same file with OmegaConf's containers for lists, each with the whole training configuration as a parent."""

    def make(kind: str, **state: Any) -> Any:
        made = foreign[kind]()
        made.__dict__.update(state)
        return made

    def metadata(of: type | Any) -> Any:
        cache = defaultdict(dict)
        return make("metadata", ref_type=of, object_type=list, key_type=int, resolver_cache=cache)

    tree = make("dict", _metadata=metadata(foreign["training"]), _parent=None, _content={})

    def wrapped(values: list[Any]) -> Any:
        container = make("list", _metadata=metadata(_Subscripted()), _parent=tree, _flags_cache=None)
        container._content = [
            make("node", _metadata=metadata(Any), _parent=container, _val=value, _flags_cache=None)
            for value in values
        ]
        tree._content[str(len(tree._content))] = container
        return container

    changed = dict(plain)
    for part in ("transforms_config", "unet_config"):
        changed[part] = FrozenDict(
            {
                name: wrapped(value) if isinstance(value, list) else value
                for name, value in plain[part].items()
            }
        )
    return changed


def write_msanii(path: Path, filters: Tensor, *, containers: bool = False) -> Path:
    """A checkpoint in either of its two forms."""
    with foreign_modules() as foreign:
        plain = content(filters)
        torch.save(with_containers(plain, foreign) if containers else plain, path)
    return path
