"""The parts of a Spectrogram Diffusion model, and how settings and named tensors become them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ondes.errors import UserError
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder

Network = TypeVar("Network", bound=nn.Module)

LARGEST_SIZE = 2**20
"""Of a whole number in a configuration; nothing larger is tried."""

MOST_LAYERS = 256

NOTES, CONTEXT, DECODER = "notes_encoder", "continuous_encoder", "decoder"
"""Names of the networks in every layout."""

KINDS: dict[str, type[NotesEncoder] | type[ContextEncoder] | type[FilmDecoder]] = {
    NOTES: NotesEncoder,
    CONTEXT: ContextEncoder,
    DECODER: FilmDecoder,
}

PLACING: dict[str, dict[str, Any]] = {CONTEXT: {"terminal_relative": True}}
"""How all published weights were trained, which their configurations do not say."""

PUBLIC_SCHEDULER: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "squaredcos_cap_v2",
    "trained_betas": None,
    "variance_type": "fixed_large",
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "prediction_type": "epsilon",
}
"""Settings of the scheduler published with the weights, for layouts that hold none."""


class PartWeights(NamedTuple):
    """A network as it is stored.

    Attributes:
        config: Arguments of its class by name; unknown ones are left out when it is built.
        state: Tensors under the names of the Hugging Face layout, linear weights (out, in).
        source: The file, for messages.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]
    source: Path


@dataclass(frozen=True, eq=False)
class SpectrogramParts:
    """A Spectrogram Diffusion model in parts.

    Attributes:
        notes_encoder: Encodes the tokens of a segment.
        continuous_encoder: Encodes the log-mel of the segment before; None for models without context.
        decoder: Predicts the noise.
        scheduler: Settings of a diffusers scheduler, with its class under `_class_name`.
        melgan: ONNX file of the vocoder, if there is one.
        hashes: SHA-256 of each file that was read, by its name in the source.
    """

    notes_encoder: NotesEncoder
    continuous_encoder: ContextEncoder | None
    decoder: FilmDecoder
    scheduler: dict[str, Any]
    melgan: Path | None
    hashes: dict[str, str]


def build_parts(
    weights: Mapping[str, PartWeights],
    *,
    hashes: Mapping[str, str],
    scheduler: Mapping[str, Any] = PUBLIC_SCHEDULER,
    melgan: Path | None = None,
) -> SpectrogramParts:
    """The networks of stored weights, in evaluation mode.

    Args:
        weights: By the names of the networks; the context encoder may be missing.
        hashes: As of `SpectrogramParts`.
        scheduler: As of `SpectrogramParts`.
        melgan: As of `SpectrogramParts`.

    Raises:
        UserError: If settings describe no network, tensors are missing, of another shape, unknown or not finite, or
            the networks are of different widths.
    """
    networks: dict[str, Any] = {name: build(KINDS[name], *stored) for name, stored in weights.items()}
    widths = {name: network.config["d_model"] for name, network in networks.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise UserError(
            f"the networks do not fit together: d_model is {told}, but must be one; fetch all again"
        )
    return SpectrogramParts(
        notes_encoder=networks[NOTES],
        continuous_encoder=networks.get(CONTEXT),
        decoder=networks[DECODER],
        scheduler=dict(scheduler),
        melgan=melgan,
        hashes=dict(hashes),
    )


def build(
    kind: Callable[..., Network], config: Mapping[str, Any], state: Mapping[str, Tensor], source: Path
) -> Network:
    """A network with stored weights, as float32 and in evaluation mode; no random number is drawn.

    Args:
        kind: Its class.
        config: Arguments; those it does not have are ignored, as new versions of a format add some.
        state: Its tensors.
        source: For messages.

    Raises:
        UserError: As of `build_parts`.
    """
    known = inspect.signature(kind).parameters
    settings = {name: value for name, value in config.items() if name in known}
    _check_sizes(settings, source)
    try:
        with torch.device("meta"):
            network = kind(**settings)
    except (ValueError, RuntimeError, TypeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{source}: its settings describe no network ({reason}); fetch both again") from error
    planned = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    check_tensors(state, planned, source)
    # Tensors may be a view of the file: a copy outlives it.
    copies = {name: value.detach().to(torch.float32, copy=True).contiguous() for name, value in state.items()}
    network.load_state_dict(copies, assign=True)
    return network.eval()


def _check_sizes(settings: Mapping[str, Any], source: Path) -> None:
    """Refuse sizes that no network has before memory or time is spent on them."""
    for name, value in settings.items():
        most = MOST_LAYERS if name == "num_layers" else LARGEST_SIZE
        if isinstance(value, float | int) and not isinstance(value, bool) and not 0 <= value <= most:
            raise UserError(
                f"{source}: {name} is {value}, but must be from 0 to {most}; fetch its config.json again"
            )


def check_tensors(state: Mapping[str, Tensor], planned: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Compare stored tensors with those of a network.

    Raises:
        UserError: With the first name that is missing or unknown, or whose shape, kind or values cannot be.
    """
    for name, shape in planned.items():
        if name not in state:
            raise UserError(
                f"{source} lacks the tensor {name} {shape}; fetch it again, or give another model"
            )
        if tuple(state[name].shape) != shape:
            raise UserError(
                f"{source}: {name} is {tuple(state[name].shape)}, but its settings ask for {shape}; fetch both again"
            )
        if not state[name].is_floating_point():
            raise UserError(
                f"{source}: {name} holds {state[name].dtype}, but must hold real numbers; fetch it again"
            )
        if not state[name].isfinite().all():
            raise UserError(f"{source}: {name} is not finite; fetch it again")
    unknown = sorted(set(state) - set(planned))
    if unknown:
        raise UserError(
            f"{source} has the tensor {unknown[0]}, of which the network knows nothing; give another model"
        )


def infer_config(
    part: str, state: Mapping[str, Tensor], source: Path, *, head_channels: int = 64
) -> dict[str, Any]:
    """Settings of a network from the shapes of its tensors.

    Args:
        part: Name of the network.
        state: Its tensors under the names of the Hugging Face layout.
        source: For messages.
        head_channels: Channels of an attention head, which no shape tells; all published models have 64.

    Raises:
        UserError: If a tensor that tells a size is missing or not a matrix, or the heads do not come out even.
    """

    def shape(name: str) -> tuple[int, int]:
        if name not in state or state[name].ndim != 2:
            raise UserError(f"{source} has no matrix {name} of {part}; fetch it again, or give another model")
        rows, columns = state[name].shape
        return rows, columns

    stack = "decoders" if part == DECODER else "encoders"
    numbers = [int(found[1]) for name in state if (found := re.match(rf"{stack}\.(\d+)\.", name))]
    query = "attention.to_q" if part == DECODER else "SelfAttention.q"
    mlp = 2 if part == DECODER else 1
    wide, width = shape(f"{stack}.0.layer.0.{query}.weight")
    if wide % head_channels:
        raise UserError(
            f"{source}: attention of {wide} channels has no whole number of heads of {head_channels}"
        )
    positions = shape("position_encoding.weight")[0]
    config = {
        "d_model": width,
        "num_layers": max(numbers) + 1,
        "num_heads": wide // head_channels,
        "d_kv": head_channels,
        "d_ff": shape(f"{stack}.0.layer.{mlp}.DenseReluDense.wi_0.weight")[0],
    }
    if part == NOTES:
        return config | {"max_length": positions, "vocab_size": shape("token_embedder.weight")[0]}
    if part == CONTEXT:
        bands = shape("input_proj.weight")[1]
        return config | {"targets_context_length": positions, "input_dims": bands, **PLACING[part]}
    bands = shape("spec_out.weight")[0]
    return config | {"targets_length": positions, "input_dims": bands}
