from __future__ import annotations

import pytest
import torch

from ondes.diffusion.noise import BLOCK_FRAMES, position_noise, position_seed


@pytest.mark.parametrize(
    ("start", "frames"), [(0, 10), (0, 500), (63, 2), (64, 64), (-70, 100), (-1, 1), (130, 300)]
)
def test_any_two_windows_agree_on_what_they_share(start: int, frames: int) -> None:
    whole = position_noise((2, 3), start_frame=-128, frames=640, seed=5)
    window = position_noise((2, 3), start_frame=start, frames=frames, seed=5)
    assert torch.equal(window, whole[..., start + 128 : start + 128 + frames])


def test_noise_is_standard_normal_and_white() -> None:
    noise = position_noise((64,), start_frame=0, frames=50 * BLOCK_FRAMES, seed=1)
    count = noise.numel()
    assert abs(float(noise.mean())) < 4 / count**0.5
    assert abs(float(noise.var()) - 1) < 4 * (2 / count) ** 0.5
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean())) < 4 / count**0.5
    # Nothing repeats from block to block.
    assert abs(float((noise[:, BLOCK_FRAMES:] * noise[:, :-BLOCK_FRAMES]).mean())) < 4 / count**0.5


def test_seeds_and_items_have_noise_of_their_own() -> None:
    drawn = [
        position_noise((4,), start_frame=0, frames=1000, seed=seed, item=item)
        for seed, item in ((0, ""), (1, ""), (0, "a"), (0, "b"))
    ]
    correlation = torch.corrcoef(torch.stack(drawn).flatten(1))
    assert (correlation - torch.eye(4)).abs().max() < 4 / 4000**0.5


def test_words_are_told_apart_wherever_they_end() -> None:
    assert position_seed("a", "b") != position_seed("ab", "")
    assert 0 <= position_seed("anything", 3) < 2**63


def test_a_seed_is_the_same_in_every_process() -> None:
    # printf 7/piano/3 | sha256sum
    assert position_seed(7, "piano", 3) == int.from_bytes(bytes.fromhex("756ade858574e734"), "little") >> 1
