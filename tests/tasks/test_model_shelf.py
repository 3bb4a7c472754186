"""The shelf holds few models: the one used longest ago goes before another is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from ondes.errors import UserError
from ondes.tasks import shelf
from ondes.tasks.shelf import ModelShelf


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was loaded, in order; no model is."""
    calls: list[tuple[Any, ...]] = []

    def open_it(kind: str, name: str, how: dict[str, Any]) -> object:
        if name == "gone":
            raise UserError("there is no such model")
        calls.append((kind, name, how))
        return object()

    monkeypatch.setattr(shelf, "_opened", open_it)
    return calls


def test_a_model_is_loaded_once(opened: list[tuple[Any, ...]]) -> None:
    held = ModelShelf()
    assert held.pipeline("audio", "a") is held.pipeline("audio", "a", vocoder=None)
    assert opened == [("audio", "a", {})]


def test_the_one_used_longest_ago_goes(opened: list[tuple[Any, ...]]) -> None:
    held = ModelShelf(2)
    first = held.pipeline("audio", "a")
    held.pipeline("composer", "b")
    assert held.pipeline("audio", "a") is first
    held.pipeline("separator", "c")
    assert held.loaded() == ["a", "c"]
    held.pipeline("composer", "b")
    assert held.loaded() == ["c", "b"]
    assert [name for _, name, _ in opened] == ["a", "b", "c", "b"]


def test_one_name_with_two_vocoders_is_two_models(opened: list[tuple[Any, ...]]) -> None:
    held = ModelShelf(3)
    made = {id(held.pipeline("synthesiser", "a", vocoder=name)) for name in (None, "v", "w")}
    assert len(made) == 3
    assert opened[1] == ("synthesiser", "a", {"vocoder": "v"})


def test_a_model_that_cannot_be_loaded_leaves_room(opened: list[tuple[Any, ...]]) -> None:
    held = ModelShelf()
    held.pipeline("audio", "a")
    with pytest.raises(UserError, match="no such model"):
        held.pipeline("audio", "gone")
    assert held.loaded() == []
    held.pipeline("audio", "a")
    assert len(opened) == 2


def test_a_shelf_without_room_is_none() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ModelShelf(0)
