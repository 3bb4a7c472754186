from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from ondes.models.note_transformer import NoteTransformer, RotaryAngles, _rotated
from ondes.representations.note_tokens import FIELDS, SIZES

STYLES = ("bach", "satie")
HIDDEN = torch.tensor(SIZES)


def network(**settings: Any) -> NoteTransformer:
    """A small one in which nothing is zero."""
    made = NoteTransformer(width=16, depth=2, heads=2, hidden=12, styles=STYLES, **settings)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in made.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.3)
    return made.eval()


def notes(batch: int, count: int, seed: int = 0) -> Tensor:
    """Random tokens, some of them hidden."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack(
        [torch.randint(0, size + 1, (batch, count), generator=generator) for size in SIZES], -1
    )


def wishes(batch: int) -> dict[str, Tensor]:
    ensemble = torch.zeros(batch, 129)
    ensemble[:, 40] = torch.arange(batch)
    names = ("key", "metre", "tempo", "density", "style", "length")
    return {name: torch.arange(batch) % 3 for name in names} | {
        "ensemble": ensemble,
        "ensemble_known": torch.ones(batch, dtype=torch.bool),
    }


@torch.no_grad()
def logits(model: NoteTransformer, tokens: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return cast(tuple[Tensor, ...], model(tokens, *rest))


def close(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(left.shape == right.shape and torch.allclose(left, right, atol=1e-5) for left, right in pairs)


def test_there_is_an_answer_for_every_class_of_every_field() -> None:
    answer = logits(network(), notes(2, 5))
    assert [values.shape for values in answer] == [(2, 5, size) for size in SIZES]


@torch.no_grad()
def test_a_class_is_as_likely_as_the_answer_is_near_to_its_embedding() -> None:
    model = network()
    answer = torch.randn(16)
    table, starts = model.embedding.weight, model.starts
    pitch = model._logits(answer)[2]
    expected = table[starts[2] + 67] + table[starts[7] + 7] + table[starts[8] + 5]
    frequency = model.frequency[sum(SIZES[:2]) + 67]
    assert float(pitch[67]) == pytest.approx(float(answer @ expected + frequency), abs=1e-5)
    velocity = model._logits(answer)[4]
    assert float(velocity[3]) == pytest.approx(
        float(answer @ table[starts[4] + 3] + model.frequency[sum(SIZES[:4]) + 3]), abs=1e-5
    )


def test_padding_changes_nothing_whatever_is_in_it() -> None:
    model, tokens = network(), notes(2, 6)
    valid = torch.ones(2, 9, dtype=torch.bool)
    valid[:, 6:] = False
    alone = logits(model, tokens, None, wishes(2))
    for seed in (1, 2):
        padded = logits(model, torch.cat([tokens, notes(2, 3, seed)], 1), valid, wishes(2))
        assert close(alone, tuple(values[:, :6] for values in padded))


def test_an_example_is_the_same_alone_and_in_a_batch() -> None:
    model, tokens, asked = network(), notes(3, 6), wishes(3)
    together = logits(model, tokens, None, asked)
    for row in range(3):
        alone = logits(model, tokens[row : row + 1], None, {k: v[row : row + 1] for k, v in asked.items()})
        assert close(alone, tuple(values[row : row + 1] for values in together))


@pytest.mark.parametrize("kind", ["tokens", "features"])
def test_a_saved_network_is_the_same_after_loading(kind: str, tmp_path: Path) -> None:
    model = network(kind=kind, feature_size=5)
    model.save_pretrained(tmp_path)
    loaded = NoteTransformer.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    given = notes(2, 6) if kind == "tokens" else torch.randn(2, 6, 5)
    rest = (None, wishes(2), torch.tensor([0.1, 0.7]))
    with torch.no_grad():
        first, second = model(given, *rest), loaded(given, *rest)
    assert all(map(torch.equal, first, second))
    assert loaded.config["styles"] == list(STYLES)


def test_every_field_of_every_note_is_heard_everywhere() -> None:
    model, tokens = network(), notes(1, 12)
    before = logits(model, tokens)
    for field in range(len(FIELDS)):
        changed = tokens.clone()
        changed[0, 0, field] = (changed[0, 0, field] + 1) % (SIZES[field] + 1)
        after = logits(model, changed)
        assert all((one - other).abs()[0, 11].max() > 1e-6 for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["key", "metre", "tempo", "density", "style", "length"])
def test_a_missing_condition_is_an_unknown_one_and_others_are_heard(name: str) -> None:
    model, tokens = network(), notes(1, 3)
    missing = logits(model, tokens)
    assert close(missing, logits(model, tokens, None, {name: torch.tensor([0])}))
    assert not close(missing, logits(model, tokens, None, {name: torch.tensor([2])}))


def test_an_ensemble_counts_only_where_it_is_known() -> None:
    model, tokens = network(), notes(2, 3)
    ensemble = torch.zeros(2, 129)
    ensemble[:, 73] = 2
    some = logits(model, tokens, None, {"ensemble": ensemble, "ensemble_known": torch.tensor([True, False])})
    none = logits(model, tokens)
    assert close(tuple(v[1:] for v in some), tuple(v[1:] for v in none))
    assert not close(tuple(v[:1] for v in some), tuple(v[:1] for v in none))


def test_bars_are_counted_as_far_as_they_are_known() -> None:
    tokens = notes(1, 5)
    tokens[0, :, 0] = torch.tensor([2, 0, SIZES[0], 7, 1])
    assert network()._known_bars(tokens).tolist() == [[2, 2, 2, 9, 10]]


def test_a_note_is_the_sum_of_its_classes_and_of_what_they_mean() -> None:
    model = network()
    low, high, hidden = (torch.tensor([[[1, 30, pitch, 5, 3, 40, 2]]]) for pitch in (50, 62, 128))
    embed = lambda tokens: model._embed(tokens)[0, 0]  # noqa: E731
    table = model.embedding.weight
    starts = model.starts
    # An octave apart: another pitch and another octave, but the same pitch class.
    octave = table[starts[2] + 62] - table[starts[2] + 50] + table[starts[8] + 5] - table[starts[8] + 4]
    assert torch.allclose(embed(high) - embed(low), octave, atol=1e-6)
    masked = table[starts[2] + 128] + table[starts[7] + 12] + table[starts[8] + 11]
    known = table[starts[2] + 50] + table[starts[7] + 2] + table[starts[8] + 4]
    assert torch.allclose(embed(hidden) - embed(low), masked - known, atol=1e-6)
    assert starts[9] - starts[8] == 12  # eleven octaves and one row for hidden ones


def test_rotation_shows_how_many_notes_and_bars_two_notes_are_apart_and_nothing_else() -> None:
    rotary = RotaryAngles(16)
    query, key = torch.randn(16), torch.randn(16)

    def product(first: int, second: int, bars: list[float]) -> float:
        cos, sin = rotary(torch.tensor([bars], dtype=torch.float32))
        heads = torch.zeros(1, 1, len(bars), 16)
        heads[0, 0, first], heads[0, 0, second] = query, key
        turned = _rotated(heads, cos, sin)[0, 0]
        return float(turned[first] @ turned[second])

    beginning = product(0, 2, [0, 0, 1, 1, 1, 1, 1, 1])
    assert product(5, 7, [0, 3, 3, 3, 3, 4, 4, 5]) == pytest.approx(beginning, abs=1e-4)
    assert abs(product(5, 7, [0, 3, 3, 3, 3, 4, 4, 4]) - beginning) > 1e-2
    assert abs(product(4, 7, [0, 3, 3, 3, 4, 4, 4, 5]) - beginning) > 1e-2


def test_features_are_denoised_at_their_level_with_what_is_known() -> None:
    model = network(kind="features", feature_size=5)
    noisy, level = torch.randn(2, 4, 5), torch.tensor([0.2, 0.9])
    known = torch.zeros(2, 4, 5, dtype=torch.bool)
    with torch.no_grad():
        answer = cast(Tensor, model(noisy, None, None, level))
        same = cast(Tensor, model(noisy, None, None, level, known))
        told = cast(Tensor, model(noisy, None, None, level, ~known))
        later = cast(Tensor, model(noisy, None, None, level.flip(0)))
    assert answer.shape == noisy.shape
    assert torch.equal(answer, same)
    assert (answer - told).abs().max() > 1e-3
    assert (answer - later).abs().max() > 1e-3
    with pytest.raises(ValueError, match="level"):
        model(noisy)


@pytest.mark.parametrize("settings", [{"kind": "events"}, {"fields": ("pitch",)}])
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fields and"):
        NoteTransformer(**settings)
