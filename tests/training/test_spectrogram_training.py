from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.errors import UserError
from ondes.training.spectrogram_autoregressive import SpectrogramAutoregressiveTraining
from ondes.training.spectrogram_data import SpectrogramData
from ondes.training.spectrogram_diffusion import (
    DiffusionNetworks,
    Distance,
    Prediction,
    SpectrogramDiffusionTraining,
    diffusion_loss,
    to_sample,
)
from ondes.training.spectrogram_segments import SEGMENT_FRAMES, Segment, SegmentBatch, collate_segments
from ondes.training.spectrogram_system import make_optimiser, masked_mean

SIZES = {
    "emb_dim": 8,
    "dim_feedforward": 8,
    "nhead": 2,
    "head_dim": 4,
    "num_layers": 1,
    "max_input_length": 16,
}
ABSOLUTE_NORMAL = math.sqrt(2 / math.pi)
"""Mean of the absolute value of a standard normal variable."""

Answer = Callable[[Tensor, Tensor], Tensor]


class Oracle(nn.Module):
    """A network that is a function of the noisy data and the time."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, noisy: Tensor, time: Tensor, batch: SegmentBatch, given: Tensor) -> Tensor:
        assert len(given) == len(batch.tokens)
        return self.answer(noisy, time)


def shares(time: Tensor) -> tuple[Tensor, Tensor]:
    alpha, sigma = (part[:, None, None] for part in alpha_sigma(cosine_log_snr(time)))
    return alpha, sigma


def some_batch(examples: int = 3, *, deviation: float = 0.3, target: int = SEGMENT_FRAMES) -> SegmentBatch:
    generator = torch.Generator().manual_seed(0)
    pieces = [
        Segment(
            np.arange(3, 6 + number),
            deviation * torch.randn(target, 128, generator=generator),
            torch.rand(number * 5, 128, generator=generator) - 0.5,
        )
        for number in range(examples)
    ]
    return collate_segments(pieces, tokens=None, pad_id=0)


def noise_like(batch: SegmentBatch) -> Tensor:
    return torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(1))


def loss_of(
    network: nn.Module,
    batch: SegmentBatch,
    time: Tensor,
    prediction: Prediction = "epsilon",
    distance: Distance = "l1",
) -> float:
    everything = {"time": time, "noise": noise_like(batch), "given": torch.ones(len(time), dtype=torch.bool)}
    loss = diffusion_loss(network, batch, prediction=prediction, distance=distance, **everything)
    return float(loss.detach())


@pytest.fixture
def time() -> Tensor:
    return torch.tensor([0.1, 0.5, 0.8])


def test_the_best_answer_for_normal_data_has_the_loss_of_the_closed_form(time: Tensor) -> None:
    """Data of deviation s: the noise is known up to a deviation of alpha s / sqrt(alpha^2 s^2 + sigma^2)."""
    deviation = 0.3

    def best(noisy: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = shares(time)
        return noisy * sigma / (alpha**2 * deviation**2 + sigma**2)

    alpha, sigma = shares(time)
    unknown = alpha * deviation / (alpha**2 * deviation**2 + sigma**2).sqrt()
    batch = some_batch(deviation=deviation)
    assert loss_of(Oracle(best), batch, time) == pytest.approx(
        float(unknown.mean()) * ABSOLUTE_NORMAL, rel=0.01
    )
    squared = loss_of(Oracle(best), batch, time, distance="l2")
    assert squared == pytest.approx(float(unknown.square().mean()), rel=0.01)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_an_answer_that_is_the_truth_has_no_loss_and_points_at_the_data(
    prediction: Prediction, time: Tensor
) -> None:
    batch = some_batch()
    data, noise = batch.target, noise_like(batch)
    alpha, sigma = shares(time)
    truth = {"epsilon": noise, "sample": data, "v_prediction": alpha * noise - sigma * data}[prediction]
    assert loss_of(Oracle(lambda *_: truth), batch, time, prediction) == 0
    off = loss_of(Oracle(lambda *_: truth + 0.5), batch, time, prediction, "l2")
    assert off == pytest.approx(0.25)
    noisy = alpha * data + sigma * noise
    made = to_sample(noisy, truth, alpha, sigma, prediction)
    assert torch.allclose(made, data.clamp(-1, 1), atol=1e-4)


def test_an_untrained_answer_of_nothing_has_the_loss_of_a_normal_variable(time: Tensor) -> None:
    nothing = Oracle(lambda noisy, _: torch.zeros_like(noisy))
    assert loss_of(nothing, some_batch(), time) == pytest.approx(ABSOLUTE_NORMAL, rel=0.01)


def test_errors_in_padded_frames_do_not_count(time: Tensor) -> None:
    batch = some_batch(target=20)
    noise = noise_like(batch)
    wrong_where_padded = noise + 9.0 * ~batch.target_mask[..., None]
    assert loss_of(Oracle(lambda *_: wrong_where_padded), batch, time) == 0
    wrong_where_not = noise + 0.25 * batch.target_mask[..., None]
    assert loss_of(Oracle(lambda *_: wrong_where_not), batch, time) == pytest.approx(0.25)


def test_a_masked_mean_is_that_of_its_frames() -> None:
    values = torch.arange(24.0).reshape(2, 3, 4)
    mask = torch.tensor([[True, False, False], [True, True, False]])
    assert float(masked_mean(values, mask)) == pytest.approx(
        float(torch.stack([values[0, 0], *values[1, :2]]).mean())
    )
    assert float(masked_mean(values, mask & False)) == 0


def diffusion(**settings: object) -> SpectrogramDiffusionTraining:
    torch.manual_seed(0)
    return SpectrogramDiffusionTraining(**SIZES, **{"with_context": True, "dropout": 0.0, **settings})  # pyright: ignore[reportArgumentType]


def seeded_loss(training: SpectrogramDiffusionTraining, batch: SegmentBatch) -> float:
    return float(training.batch_loss(training.network, batch, torch.Generator().manual_seed(5)).detach())


def test_padding_of_tokens_and_context_never_changes_the_loss() -> None:
    training, batch = diffusion(cfg_dropout=0.0), some_batch()
    plain = seeded_loss(training, batch)
    context = torch.where(batch.context_mask[..., None], batch.context, 0.7)
    tokens = torch.where(batch.token_mask, batch.tokens, 11)
    assert seeded_loss(training, batch._replace(context=context, tokens=tokens)) == plain
    wider = [nn.functional.pad(part, (0, 4)) for part in (batch.tokens, batch.token_mask)]
    assert seeded_loss(training, batch._replace(tokens=wider[0], token_mask=wider[1])) == pytest.approx(
        plain, rel=1e-6
    )


def test_tokens_and_context_change_the_loss_unless_they_are_dropped() -> None:
    batch = some_batch()
    changes = [{"tokens": batch.tokens + 1}, {"context": -batch.context}]
    given, dropped = diffusion(cfg_dropout=0.0), diffusion(cfg_dropout=1.0)
    for change in changes:
        other = batch._replace(**change)
        assert seeded_loss(given, other) != seeded_loss(given, batch)
        assert seeded_loss(dropped, other) == seeded_loss(dropped, batch)


def test_the_share_of_dropped_conditions_is_the_one_asked_for() -> None:
    training, batch = diffusion(cfg_dropout=0.1), some_batch()
    kept: list[Tensor] = []

    class Listening(nn.Module):
        def forward(self, noisy: Tensor, time: Tensor, batch: SegmentBatch, given: Tensor) -> Tensor:
            assert len(batch.tokens) == len(time)
            kept.append(given)
            return noisy

    generator = torch.Generator().manual_seed(0)
    many = SegmentBatch(*(part[:1].expand(400, *part.shape[1:]) if part.ndim else part for part in batch))
    small = many._replace(target=many.target[:, :1], target_mask=many.target_mask[:, :1])
    for _ in range(25):
        training.batch_loss(Listening(), small, generator)
    dropped = float((~torch.cat(kept)).float().mean())
    assert dropped == pytest.approx(0.1, abs=4 * math.sqrt(0.1 * 0.9 / 10_000))


@pytest.mark.parametrize("cfg_dropout", [0.0, 1.0])
def test_every_weight_has_a_gradient_even_if_every_condition_is_dropped(cfg_dropout: float) -> None:
    """Or processes that train together would wait for each other."""
    training = diffusion(cfg_dropout=cfg_dropout)
    training.batch_loss(training.network, some_batch(), torch.Generator().manual_seed(5)).backward()
    for name, weight in training.network.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
    assert not any(weight.requires_grad for weight in training.average.parameters())
    tokens = dict(training.network.named_parameters())["notes_encoder.token_embedder.weight"].grad
    assert bool(torch.any(tokens)) == (cfg_dropout == 0)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_the_loss_of_the_baseline_is_the_mean_square_over_true_frames() -> None:
    torch.manual_seed(0)
    training = SpectrogramAutoregressiveTraining(**SIZES, dropout=0.0)  # pyright: ignore[reportArgumentType]
    batch = some_batch(target=20)
    with torch.no_grad():
        expected = training.network(batch.tokens, batch.token_mask, batch.target)
        loss = training.batch_loss(training.network, batch, torch.Generator())
    error = (expected - batch.target).square()[:, :20].mean()
    assert float(loss) == pytest.approx(float(error))


@pytest.mark.parametrize(
    "system",
    [
        SpectrogramDiffusionTraining,
        pytest.param(SpectrogramAutoregressiveTraining, marks=pytest.mark.slow),
    ],
)
def test_pictures_are_drawn_without_dropout(
    system: type[SpectrogramDiffusionTraining] | type[SpectrogramAutoregressiveTraining],
) -> None:
    sizes: dict[str, Any] = {**SIZES, "dropout": 0.5}
    module = system(**sizes).train()
    trainer = Mock(val_dataloaders=[some_batch()])
    module.trainer = trainer
    first, second = (module.sample_image()["model"] for _ in range(2))
    assert torch.equal(first, second)
    assert module.network.training


def test_the_learning_rate_rises_for_the_warm_up_and_is_constant_then() -> None:
    training = diffusion(learning_rate=0.02, warm_up_steps=4)
    made: dict[str, Any] = dict(training.configure_optimizers())
    optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(7):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx([0.005, 0.01, 0.015, 0.02, 0.02, 0.02, 0.02])
    at_once: dict[str, Any] = dict(diffusion(warm_up_steps=0).configure_optimizers())
    assert at_once["optimizer"].param_groups[0]["lr"] == 1e-3


def adafactor_step(weight: np.ndarray, gradients: list[np.ndarray], learning_rate: float) -> np.ndarray:
    """Algorithm 4 of Shazeer and Stern (2018) with decay 0.8, clipping at 1 and no momentum."""
    rows, columns = np.zeros(weight.shape[0]), np.zeros(weight.shape[1])
    for step, gradient in enumerate(gradients, 1):
        square, decay = gradient**2 + 1e-30, 1 - step**-0.8
        rows = decay * rows + (1 - decay) * square.mean(1)
        columns = decay * columns + (1 - decay) * square.mean(0)
        update = gradient / np.sqrt(np.outer(rows, columns) / rows.mean())
        update /= max(1.0, float(np.sqrt((update**2).mean())))
        size = max(1e-3, float(np.sqrt((weight**2).mean())))
        weight = weight - learning_rate * size * update
    return weight


@pytest.mark.parametrize("learning_rate", [1e-3, 5e-2])
@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_adafactor_takes_the_step_of_its_paper_at_the_rate_it_is_given(
    learning_rate: float, scale: float
) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 4)) * 0.3
    gradients = [scale * rng.normal(size=(6, 4)) for _ in range(3)]
    gradients[0][2] = gradients[1][2] = gradients[2][2] = 0.0  # a token that no example has
    weight = nn.Parameter(torch.tensor(start, dtype=torch.float32))
    optimiser = make_optimiser([weight], "adafactor", learning_rate=learning_rate)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimiser.step()
    expected = adafactor_step(start, gradients, learning_rate)
    moved = np.abs(expected - start).max()
    assert moved > learning_rate * 0.1
    assert weight.detach().numpy() == pytest.approx(expected, abs=1e-4 * moved)
    assert weight.detach().numpy()[2] == pytest.approx(start[2])


def test_shifts_begin_as_the_positions_of_their_frames() -> None:
    sizes: dict[str, Any] = {**SIZES, "emb_dim": 32}
    training = SpectrogramDiffusionTraining(**sizes, segment_frames=6, shifts_as_positions=True)
    network = training.network
    assert isinstance(network, DiffusionNetworks)
    positions = network.decoder.position_encoding.weight
    shifts = network.notes_encoder.token_embedder.weight[3:15]  # steps 0 to 11; the codec's ids begin at 3
    torch.testing.assert_close(shifts.square().mean(1), torch.ones(12))
    nearness = (
        torch.nn.functional.normalize(shifts, dim=1) @ torch.nn.functional.normalize(positions, dim=1).T
    )
    torch.testing.assert_close(nearness[::2].diagonal(), torch.ones(6))
    middle = nearness[1:-1:2]
    torch.testing.assert_close(middle.diagonal(), middle.diagonal(1), atol=0.05, rtol=0)
    with pytest.raises(
        UserError, match="shifts_as_positions is for the codec 'mt3'; leave it out for 'port'"
    ):
        SpectrogramDiffusionTraining(**sizes, codec="port", shifts_as_positions=True)


def test_segments_of_model_and_data_must_be_of_one_length(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {**SIZES, "max_input_length": 2048}
    training = SpectrogramDiffusionTraining(**sizes, segment_frames=64)
    with pytest.raises(
        UserError, match=r"model.init_args.segment_frames is 64 but data.* is 256; give both the same"
    ):
        training.check_data(SpectrogramData(batch_size=1, cache_folder=tmp_path))
    training.check_data(SpectrogramData(batch_size=1, segment_frames=64, cache_folder=tmp_path))
