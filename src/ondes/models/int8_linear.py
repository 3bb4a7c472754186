"""Linear layers in 8-bit integers, for quicker steps on processors with such products (VNNI, AMX)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

FEWEST_WEIGHTS = 2**17
"""Layers with fewer weights stay as they are: they take no time, and their errors go straight in or out."""


class Int8Linear(nn.Module):
    """A linear layer whose weights are 8-bit integers with a scale a row; what it reads gets a scale a token.

    Both are scaled to their own largest value (symmetric, dynamic quantisation), the products are summed exactly as
    integers, and the sums are float32. It cannot be trained, saved or moved from the CPU.

    Args:
        layer: The layer to take weights and biases from.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        peak = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny)
        whole = (weight * (127 / peak)[:, None]).round().to(torch.int8)
        self.out_features, self.in_features = weight.shape
        self.bias = None if layer.bias is None else layer.bias.detach().float()
        # The operator that inductor's CPU backend calls for quantised linears.
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self._scale = peak / 127
        self._zero = torch.zeros(self.out_features, dtype=torch.int64)
        # Without VNNI pairs of products are summed in 16 bits, which 8 bits with 8 would overflow.
        self._most = 127 if sums_pairs_in_32_bits() else 63

    def forward(self, tokens: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The products, in float32."""
        rows = tokens.reshape(-1, self.in_features).float()
        peak = torch.linalg.vector_norm(rows, torch.inf, 1, keepdim=True).clamp_(min=1e-30)
        # Half of one added before what follows the point is cut off: rounding in one pass.
        middle = torch.tensor(self._most + 1.5)
        whole = torch.addcmul(middle, rows, self._most / peak).to(torch.uint8)
        sums = torch.ops.onednn.qlinear_pointwise(
            whole,
            1.0,
            self._most + 1,
            self._weight,
            self._scale,
            self._zero,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        sums *= peak / self._most
        if self.bias is not None:
            sums += self.bias
        return sums.unflatten(0, tokens.shape[:-1])


def sums_pairs_in_32_bits() -> bool:
    """Whether this processor multiplies 8-bit integers without overflow (VNNI)."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_vnni") or capabilities.get("avx_vnni"))


def multiplies_int8() -> bool:
    """Whether this build of torch has the products that `Int8Linear` needs."""
    return (
        hasattr(torch.ops.onednn, "qlinear_pointwise")
        and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
    )


def quantise_linears(module: nn.Module, *, keep: tuple[str, ...] = ()) -> int:
    """Put integers in place of the larger linear layers of a network on the CPU; there is no way back.

    Args:
        module: Changed in place.
        keep: Parts of names of layers to leave alone.

    Returns:
        How many layers are integers now.

    Raises:
        ValueError: If this processor or build of torch has no such products, or the network is not on the CPU.
    """
    if not multiplies_int8():
        raise ValueError("this build of torch multiplies no 8-bit integers; keep float32 or bfloat16")
    found = [
        (parent, name, child)
        for path, parent in module.named_modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
        and child.weight.numel() >= FEWEST_WEIGHTS
        and not any(part in f"{path}.{name}" for part in keep)
    ]
    for parent, name, child in found:
        if child.weight.device.type != "cpu":
            raise ValueError(f"{name} is on {child.weight.device}; 8-bit integers are for the CPU")
        setattr(parent, name, Int8Linear(child))
    return len(found)


def relative_error(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of the difference over that of what was wanted."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def quantise_measured(module: nn.Module, run: Callable[[], Tensor], *, keep: tuple[str, ...] = ()) -> float:
    """Quantise a network and say what that changed.

    Args:
        module: Changed in place by `quantise_linears`.
        run: Runs it on something it will be used for.
        keep: Parts of names of layers to leave alone.

    Returns:
        The relative error of what `run` gives afterwards.
    """
    with torch.inference_mode():
        wanted = run()
        quantise_linears(module, keep=keep)
        return relative_error(run(), wanted)
