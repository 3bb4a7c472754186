"""A test that would change how torch computes in later tests is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from numeric_state import numeric_state

CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "default type": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "gradients": (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    "deterministic algorithms": (
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "precision of products": (
        lambda: torch.set_float32_matmul_precision("high"),
        lambda: torch.set_float32_matmul_precision("highest"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_is_noticed(name: str) -> None:
    change, undo = CHANGES[name]
    before = numeric_state()
    change()
    changed = numeric_state()
    undo()
    assert [setting for setting in before if changed[setting] != before[setting]] == [name]
    assert numeric_state() == before


def test_threads_are_noticed() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    changed = numeric_state()
    torch.set_num_threads(before)
    assert changed["threads"] == before + 1
