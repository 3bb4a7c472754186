from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ondes.models.note_denoiser import (
    Conditioning,
    NoteDenoiser,
    from_patches,
    rotary_angles,
    rotate,
    to_patches,
)
from ondes.representations.mel import MEL
from ondes.representations.note_frames import collate, to_note_frames
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]

SIZES = {
    "width": 16,
    "hidden": 16,
    "blocks": 2,
    "heads": 2,
    "note_width": 8,
    "note_embedding": 4,
    "partials": 2,
}
FRAMES = 16
LOUD = plain_notes([(0.0, 0.1, 60, 90, 0), (0.05, 0.2, 67, 60, 0)])
SOFT = plain_notes([(0.02, 0.1, 48, 20, 0)])


def denoiser(*, trained: bool) -> NoteDenoiser:
    """A small network; a trained one stands for any that has left its first weights."""
    torch.manual_seed(1)
    model = NoteDenoiser(**SIZES).eval()
    model.mean.copy_(torch.randn(2, 128))
    model.deviation.copy_(0.5 + torch.rand(2, 128))
    torch.nn.init.normal_(model.log_spread, std=0.3)
    if trained:
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.2)
    return model


@pytest.fixture(scope="module")
def trained() -> NoteDenoiser:
    return denoiser(trained=True)


@pytest.fixture(scope="module")
def two(trained: NoteDenoiser) -> Conditioning:
    """Two windows side by side."""
    windows = [to_note_frames(notes, start_frame=0, frames=FRAMES) for notes in (LOUD, SOFT)]
    with torch.no_grad():
        return trained.condition(collate(windows), 2)


@pytest.fixture(scope="module")
def noisy() -> torch.Tensor:
    return torch.randn(2, 2, 128, FRAMES, generator=torch.Generator().manual_seed(2))


LEVEL = torch.tensor([0.3, 0.8])


@torch.no_grad()
@pytest.mark.parametrize("level", [0.0, 0.2, 0.7, 1.0])
def test_an_untrained_network_is_the_exact_denoiser_of_a_gaussian_around_the_sketch(
    level: float, noisy: torch.Tensor
) -> None:
    model = denoiser(trained=False)
    conditioning = model.condition(to_note_frames(LOUD, start_frame=0, frames=FRAMES))
    made = model(noisy[:1], torch.tensor([level]), conditioning)
    mean, spread = conditioning.sketch, conditioning.spread
    # Regression of data and of noise on the noisy point, of which both are parts.
    away = (noisy[:1] - (1 - level) * mean) / (((1 - level) * spread) ** 2 + level**2)
    data, noise = mean + (1 - level) * spread**2 * away, level * away
    assert torch.allclose(made, noise - data, atol=1e-4, rtol=1e-4)


def test_features_are_mean_and_half_difference_over_their_deviation(trained: NoteDenoiser) -> None:
    log_mel = torch.randn(3, 2, 128, 5, generator=torch.Generator().manual_seed(0))
    middle, side = trained.standardise(log_mel).unbind(1)
    assert torch.allclose(
        middle * trained.deviation[0][:, None] + trained.mean[0][:, None], log_mel.mean(1), atol=1e-5
    )
    half = (log_mel[:, 0] - log_mel[:, 1]) / 2
    assert torch.allclose(side * trained.deviation[1][:, None] + trained.mean[1][:, None], half, atol=1e-5)


def test_restored_features_are_the_log_mel(trained: NoteDenoiser) -> None:
    log_mel = torch.randn(3, 2, 128, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(trained.restore(trained.standardise(log_mel)), log_mel, atol=1e-5)
    assert float(trained.restore(trained.standardise(log_mel - 50)).max()) == pytest.approx(
        math.log(MEL.floor)
    )


@torch.no_grad()
def test_a_batch_of_two_is_two_singles(trained: NoteDenoiser, two: Conditioning, noisy: torch.Tensor) -> None:
    known = torch.arange(FRAMES)[None] < torch.tensor([[4], [0]])
    together = trained(noisy, LEVEL, two, known)
    for index, notes in enumerate((LOUD, SOFT)):
        alone = trained.condition(to_note_frames(notes, start_frame=0, frames=FRAMES))
        here = slice(index, index + 1)
        single = trained(noisy[here], LEVEL[here], alone, known[here])
        assert torch.allclose(together[here], single, atol=1e-4)


@torch.no_grad()
def test_known_frames_reach_the_rest(trained: NoteDenoiser, two: Conditioning, noisy: torch.Tensor) -> None:
    known = (torch.arange(FRAMES) < 4).expand(2, -1)
    given = trained(noisy, LEVEL, two, known)
    other = noisy.clone()
    other[..., :4] += 1
    moved = (trained(other, LEVEL, two, known) - given)[..., 4:]
    assert float(moved.abs().max()) > 1e-3
    # The same numbers mean something else where they are not known to be clean.
    assert float((trained(noisy, LEVEL, two) - given)[..., 4:].abs().max()) > 1e-3
    assert torch.equal(trained(noisy, LEVEL, two, torch.zeros_like(known)), trained(noisy, LEVEL, two))


@torch.no_grad()
def test_the_level_and_the_notes_reach_the_answer(
    trained: NoteDenoiser, two: Conditioning, noisy: torch.Tensor
) -> None:
    swapped = Conditioning(two.sketch, two.spread, two.embedding.flip(0))
    assert float((trained(noisy, LEVEL, swapped) - trained(noisy, LEVEL, two)).abs().max()) > 1e-3
    assert float((trained(noisy, LEVEL + 0.05, two) - trained(noisy, LEVEL, two)).abs().max()) > 1e-3


@torch.no_grad()
def test_dropped_notes_leave_no_trace(trained: NoteDenoiser, two: Conditioning, noisy: torch.Tensor) -> None:
    half = trained.drop(two, torch.tensor([True, False]))
    for ours, theirs in zip(half, two, strict=True):
        assert torch.equal(ours[1], theirs[1])
    assert float(half.sketch[0].abs().max()) == 0
    assert torch.equal(half.spread[0], torch.ones_like(half.spread[0]))
    gone = trained.drop(two, torch.tensor([True, True]))
    same = noisy[:1].expand(2, -1, -1, -1)
    made = trained(same, torch.tensor([0.5, 0.5]), gone)
    assert torch.allclose(made[0], made[1], atol=1e-5)


def test_a_saved_and_loaded_denoiser_is_the_original(trained: NoteDenoiser, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path)
    loaded = NoteDenoiser.from_pretrained(tmp_path)
    assert loaded.config["width"] == 16
    ours, theirs = trained.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ("table", "above"):
        assert torch.equal(getattr(loaded.notes, name), getattr(trained.notes, name))


def test_patches_and_frames_are_inverse(noisy: torch.Tensor) -> None:
    tokens = to_patches(noisy, 4)
    assert tokens.shape == (2, FRAMES // 4, 2 * 128 * 4)
    assert torch.equal(from_patches(tokens, 4, 128), noisy)


def test_rotated_products_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 8, generator=generator).expand(1, 1, 12, 8) for _ in range(2))
    angles = rotary_angles(12, 8, torch.device("cpu"))
    products = (rotate(query, angles) @ rotate(key, angles).transpose(-1, -2))[0, 0]
    for distance in range(-11, 12):
        along = products.diagonal(distance)
        assert torch.allclose(along, along[:1].expand_as(along), atol=1e-5)
    assert not torch.allclose(products[0, 0], products[0, 5], atol=1e-3)
