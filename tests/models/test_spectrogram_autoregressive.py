from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive, sinusoids

SIZES = {
    "vocab_size": 40,
    "max_length": 12,
    "targets_length": 16,
    "input_dims": 8,
    "d_model": 16,
    "num_layers": 2,
    "num_heads": 2,
    "d_kv": 4,
    "d_ff": 24,
}


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def model() -> SpectrogramAutoregressive:
    torch.manual_seed(0)
    return SpectrogramAutoregressive(**SIZES).eval()  # pyright: ignore[reportArgumentType]


@pytest.fixture
def tokens() -> torch.Tensor:
    drawn = torch.randint(1, 40, (3, 12), generator=torch.Generator().manual_seed(1))
    drawn[1, 7:], drawn[2] = 0, 0  # one padded example, and one without notes
    return drawn


def test_generation_with_the_cache_is_teacher_forcing_on_its_own_output_at_every_frame(
    model: SpectrogramAutoregressive, tokens: torch.Tensor
) -> None:
    made = model.generate(tokens, 16)
    assert float(made.std(1).min()) > 0.01
    assert float((made.abs() < 1).float().mean()) > 0.3
    forced = model(tokens, tokens > 0, made).clamp(-1, 1)
    assert torch.allclose(forced, made, atol=2e-6)


def test_later_frames_change_nothing_earlier_and_each_frame_changes_the_next(
    model: SpectrogramAutoregressive, tokens: torch.Tensor
) -> None:
    frames = torch.randn(3, 16, 8, generator=torch.Generator().manual_seed(2))
    plain = model(tokens, tokens > 0, frames)
    for place in (0, 6, 14):
        changed = frames.clone()
        changed[:, place] += 1
        other = model(tokens, tokens > 0, changed)
        assert torch.equal(other[:, : place + 1], plain[:, : place + 1])
        assert float((other[:, place + 1] - plain[:, place + 1]).abs().min()) > 1e-6


def test_the_last_frame_given_is_never_read(model: SpectrogramAutoregressive, tokens: torch.Tensor) -> None:
    frames = torch.zeros(3, 16, 8)
    changed = frames.clone()
    changed[:, -1] = 1
    assert torch.equal(model(tokens, tokens > 0, frames), model(tokens, tokens > 0, changed))


def test_padding_and_neighbours_change_nothing(
    model: SpectrogramAutoregressive, tokens: torch.Tensor
) -> None:
    together = model.generate(tokens, 5)
    for number, length in enumerate((12, 7, 1)):
        alone = model.generate(tokens[number : number + 1, :length], 5)
        assert torch.allclose(alone[0], together[number], atol=1e-6)


def test_what_lies_under_the_mask_has_no_effect(
    model: SpectrogramAutoregressive, tokens: torch.Tensor
) -> None:
    other = torch.where(tokens > 0, tokens, 7)
    frames = torch.zeros(3, 4, 8)
    assert torch.equal(model(tokens, tokens > 0, frames), model(other, tokens > 0, frames))


def test_notes_are_heard(model: SpectrogramAutoregressive, tokens: torch.Tensor) -> None:
    other = tokens.clone()
    other[0, 3] = tokens[0, 3] % 39 + 1
    frames = torch.zeros(3, 4, 8)
    difference = model(tokens, tokens > 0, frames) - model(other, tokens > 0, frames)
    assert float(difference[0].abs().min()) > 0
    assert not difference[1:].any()


def test_dither_is_noise_of_its_deviation_that_the_next_frame_hears(
    model: SpectrogramAutoregressive, tokens: torch.Tensor
) -> None:
    plain = model.generate(tokens, 3)
    dithered = model.generate(tokens, 3, dither=0.01, generator=torch.Generator().manual_seed(3))
    noise = torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(3))
    expected = (model(tokens, tokens > 0, plain)[:, :1] + 0.01 * noise).clamp(-1, 1)
    assert torch.allclose(dithered[:, :1], expected, atol=1e-6)
    heard = model(tokens, tokens > 0, dithered)
    assert float((heard - model(tokens, tokens > 0, plain))[:, 1].abs().max()) > 1e-5


def test_sinusoids_turn_once_in_2_pi_to_20000_pi_positions() -> None:
    table = sinusoids(100, 8).double()
    positions = torch.arange(100).double()
    for column, rate in ((0, 1.0), (1, 10_000 ** (-1 / 3)), (3, 1e-4)):
        assert torch.allclose(table[:, column], (positions * rate).sin(), atol=2e-5)
        assert torch.allclose(table[:, 4 + column], (positions * rate).cos(), atol=2e-5)


def test_a_saved_model_is_the_original(
    model: SpectrogramAutoregressive, tokens: torch.Tensor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    loaded = SpectrogramAutoregressive.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(loaded.generate(tokens, 3), model.generate(tokens, 3))


def test_the_small_baseline_has_as_many_weights_as_its_formula_says() -> None:
    with torch.device("meta"):
        model = SpectrogramAutoregressive()
    d, a, f, n = 512, 6 * 64, 1024, 8
    encoder = 1536 * d + 2048 * d + n * (4 * d * a + 3 * d * f + 2 * d) + d
    decoder = 2 * 128 * d + n * (8 * d * a + 3 * d * f + 3 * d) + d
    assert sum(weight.numel() for weight in model.parameters()) == encoder + decoder
