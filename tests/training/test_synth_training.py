from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from rendered_sines import DENOISER, Train  # pyright: ignore[reportMissingImports]

from ondes.models.note_denoiser import Conditioning, NoteDenoiser
from ondes.training.flow_losses import SIDE_WEIGHT, random_context, weights_of_channels
from ondes.training.synth import flow_loss, sketch_loss
from ondes.training.windows import RandomWindows, band_statistics, read_pairs


class Oracle(torch.nn.Module):
    """Knows data and noise, and errs by a constant."""

    def __init__(self, answer: torch.Tensor, error: float) -> None:
        super().__init__()
        self.answer, self.error = answer, error

    def forward(self, *_: object) -> torch.Tensor:
        return self.answer + self.error


@pytest.fixture
def window() -> tuple[torch.Tensor, torch.Tensor, Conditioning]:
    generator = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 3, 2, 128, 8, generator=generator)
    spread = torch.full((3, 2, 128, 1), 0.5)
    return data, noise, Conditioning(data + 0.2, spread, torch.zeros(3, 4, 8))


def test_weights_of_mean_and_half_difference_average_to_one() -> None:
    weights = weights_of_channels(torch.zeros(1)).flatten()
    assert float(weights.mean()) == pytest.approx(1)
    assert float(weights[1] / weights[0]) == pytest.approx(SIDE_WEIGHT)


def test_the_flow_loss_is_the_squared_error_over_the_variance_around_the_sketch(
    window: tuple[torch.Tensor, torch.Tensor, Conditioning], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, noise, conditioning = window
    level = torch.tensor([0.1, 0.5, 0.9])
    known = torch.zeros(3, 8, dtype=torch.bool)
    known[1, :4] = True
    model = NoteDenoiser(**DENOISER)
    for error in (0.0, 0.3):
        oracle = Oracle(noise - data, error)
        monkeypatch.setattr(model, "forward", oracle.forward)
        expected = error**2 * (((1 - level) * 0.5) ** 2 + level**2) / 0.25
        assert torch.allclose(flow_loss(model, data, noise, level, conditioning, known), expected, atol=1e-6)


def test_an_untrained_denoiser_has_a_flow_loss_of_one_around_a_true_sketch() -> None:
    torch.manual_seed(0)
    model = NoteDenoiser(**DENOISER)
    sketch = torch.randn(4, 2, 128, 64)
    spread = torch.full((4, 2, 128, 1), 0.5)
    data, noise = sketch + 0.5 * torch.randn_like(sketch), torch.randn_like(sketch)
    known = torch.zeros(4, 64, dtype=torch.bool)
    level = torch.tensor([0.05, 0.3, 0.6, 0.95])
    loss = flow_loss(model, data, noise, level, Conditioning(sketch, spread, torch.zeros(4, 32, 8)), known)
    assert torch.allclose(loss, torch.ones(4), atol=0.05)


def test_the_sketch_loss_is_its_closed_form(
    window: tuple[torch.Tensor, torch.Tensor, Conditioning],
) -> None:
    data, _, conditioning = window
    expected = 0.2 * (0.5 * (0.2 / 0.5) ** 2 + math.log(0.5)) + 0.2
    assert float(sketch_loss(conditioning, data)) == pytest.approx(expected, abs=1e-5)


def test_given_frames_are_whole_patches_of_every_kind_and_never_all() -> None:
    masks = random_context(400, 32, torch.Generator().manual_seed(0))
    blocks = masks.unflatten(1, (8, 4))
    assert torch.equal(blocks.all(-1), blocks.any(-1))
    starts, ends = masks[:, 0], masks[:, -1]
    for kind in (~starts & ~ends, starts & ~ends, ~starts & ends, starts & ends):
        assert int((kind & ~masks.all(1)).sum()) > 20


def test_the_loss_falls_on_a_batch_seen_again_and_again(pairs: Path) -> None:
    torch.manual_seed(0)
    model = NoteDenoiser(**DENOISER)
    read = read_pairs([pairs], "train")
    for buffer, values in zip(
        (model.mean, model.deviation), band_statistics(pair.log_mel for pair in read), strict=True
    ):
        buffer.copy_(values)
    batch = RandomWindows(read, batch=2, frames=16, seed=0).at(0)
    data = model.standardise(batch.log_mel)
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(1))
    known = torch.zeros(2, 16, dtype=torch.bool)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        conditioning = model.condition(batch.notes, 2)
        sketch = sketch_loss(conditioning, data)
        around = Conditioning(
            conditioning.sketch.detach(), conditioning.spread.detach(), conditioning.embedding
        )
        flow = flow_loss(model, data, noise, torch.tensor([0.4, 0.8]), around, known).mean()
        optimiser.zero_grad()
        (sketch + flow).backward()
        optimiser.step()
        losses.append((float(sketch.detach()), float(flow.detach())))
    assert losses[-1][0] < 0.6 * losses[0][0]
    assert losses[-1][1] < 0.8 * losses[0][1]


@pytest.mark.slow
def test_a_run_goes_on_from_saved_weights_and_resumes_without_them(train: Train, tmp_path: Path) -> None:
    train("synth", tmp_path / "first", "--trainer.max_steps", "2")
    saved = tmp_path / "first" / "model"
    kept = NoteDenoiser.from_pretrained(saved).state_dict()
    # At a rate of nothing the weights stay what they began as.
    words = ["--model.start_from", str(saved), "--model.learning_rate", "0.0", "--trainer.max_steps"]
    begun = train("synth", tmp_path / "second", *words, "2")["state_dict"]
    assert all(torch.equal(begun[f"model.{name}"], value) for name, value in kept.items())
    torch.nn.init.ones_(begun["model.silence"])
    path = tmp_path / "second" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["state_dict"]["model.silence"] += 1
    torch.save(checkpoint, path)
    resumed = train("synth", tmp_path / "second", *words, "4")["state_dict"]
    assert torch.equal(resumed["model.silence"], kept["silence"] + 1)
