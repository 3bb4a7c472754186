from __future__ import annotations

import csv
import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from note_caches import (  # pyright: ignore[reportMissingImports]
    MODEL,
    NETWORK,
    TrainComposer,
    note_caches,
    train_composer,
    write_composer_config,
)
from test_training_cli import PowerCutError, power_cut, same  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import open_note_cache
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer_opening import open_composer
from ondes.representations.note_tokens import (
    DURATION,
    DURATION_REST,
    FIELDS,
    OFFSET,
    POSITION,
    SIZES,
    NoteTokenSpec,
)
from ondes.training.cli import main
from ondes.training.composer import bits_a_note, roll, token_loss, unigram_bits
from ondes.training.note_windows import NoteBatch, NoteWindows, RandomNoteWindows

__all__ = ["note_caches", "train_composer"]


def batch(caches: Path, **settings: Any) -> NoteBatch:
    made = RandomNoteWindows(
        open_note_cache(caches / "train"),
        lengths=(16,),
        notes_per_batch=640,
        styles=(),
        balance=0.7,
        seed=0,
        **settings,
    )
    return made.at(0)


class Even(NoteTransformer):
    """Holds all classes equally likely."""

    def forward(self, notes: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, ...]:
        return tuple(torch.zeros(*notes.shape[:2], size) for size in SIZES)


@pytest.mark.slow
def test_a_resumed_run_is_an_unbroken_one_bit_for_bit_and_saves_its_average(
    train_composer: TrainComposer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train_composer(tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        power_cut(patch, "compose", batch=3)
        with pytest.raises(PowerCutError):
            train_composer(tmp_path / "broken")
    kept = torch.load(tmp_path / "broken" / "checkpoints" / "last.ckpt", weights_only=False)
    assert 0 < kept["global_step"] < unbroken["global_step"]
    resumed = train_composer(tmp_path / "broken")
    assert same(resumed["state_dict"], unbroken["state_dict"])
    assert same(resumed["optimizer_states"], unbroken["optimizer_states"])
    model = NoteTransformer.from_pretrained(tmp_path / "broken" / "model", low_cpu_mem_usage=False)
    average = {key: unbroken["state_dict"]["average.module." + key] for key in model.state_dict()}
    assert same(dict(model.state_dict()), average)
    assert list((tmp_path / "broken" / "pictures").glob("*.png"))


def test_the_log_holds_bits_of_every_field_beside_those_of_unigrams(
    train_composer: TrainComposer, tmp_path: Path
) -> None:
    train_composer(tmp_path, "--trainer.max_steps", "2")
    with next(tmp_path.glob("log*/metrics.csv")).open() as file:
        row = next(row for row in csv.DictReader(file) if row.get("validation/bits"))
    bits = {field: float(row[f"validation/bits_{field}"]) for field in FIELDS}
    plain = {field: float(row[f"validation/unigram_bits_{field}"]) for field in FIELDS}
    assert all(0 < bits[field] < 2 * math.log2(size) for field, size in zip(FIELDS, SIZES, strict=True))
    assert all(plain[field] < math.log2(size) for field, size in zip(FIELDS, SIZES, strict=True))
    # Velocities are known in half of the pieces, or in none of those drawn.
    parts = sum(value for field, value in plain.items() if field != "velocity")
    assert parts - 1e-3 <= float(row["validation/unigram_bits"]) <= parts + plain["velocity"] + 1e-3


def test_a_network_that_knows_nothing_costs_the_logarithm_of_the_classes(note_caches: Path) -> None:
    given, even = batch(note_caches, learn=False), Even(width=4, depth=1, heads=1, hidden=4)
    drawn = [bits_a_note(even, given, torch.Generator().manual_seed(k)) for k in range(40)]
    expected = torch.tensor([math.log2(size) for size in SIZES])
    assert torch.allclose(torch.stack(drawn).mean(0), expected, rtol=0.06)
    nats = [token_loss(even, given, torch.Generator().manual_seed(k)) for k in range(40)]
    assert float(torch.stack(nats).mean()) < float(
        (expected * given.free.sum((0, 1))).sum()
    ) / 640 * math.log(2)


def test_unigrams_cost_what_the_frequencies_of_classes_say(note_caches: Path) -> None:
    data = NoteWindows(note_caches / "train", note_caches / "validation", lengths=(16,), notes_per_batch=640)
    data.setup("fit")
    probabilities = data.unigrams(batches=1)
    assert [len(row) for row in probabilities] == list(SIZES)
    assert all(float(row.sum()) == pytest.approx(1) for row in probabilities)
    given = data.windows("train", seed=-2).at(0)
    free = torch.ones_like(given.free) & (given.tokens < torch.tensor(SIZES))
    cost = unigram_bits(probabilities, given._replace(free=free))
    for field, probability in enumerate(probabilities):
        told = given.tokens[..., field][free[..., field]]
        counts = torch.bincount(told, minlength=len(probability))
        # One more of each class was counted.
        bits = ((counts + 1) / (counts.sum() + len(counts))).log2()
        assert float(cost[field]) == pytest.approx(float(-(counts * bits).sum() / counts.sum()), rel=1e-4)


@pytest.mark.slow
def test_a_run_begins_with_the_weights_it_is_told(train_composer: TrainComposer, tmp_path: Path) -> None:
    train_composer(tmp_path / "first", "--trainer.max_steps", "2")
    words = ("--trainer.max_steps", "1", "--save_every", "1", "--model.learning_rate", "0")
    second = train_composer(tmp_path / "second", *words, start_from=str(tmp_path / "first" / "model"))
    saved = NoteTransformer.from_pretrained(tmp_path / "first" / "model", low_cpu_mem_usage=False)
    for prefix in ("model.", "average.module."):
        taken = {key: second["state_dict"][prefix + key] for key in saved.state_dict()}
        assert same(dict(saved.state_dict()), taken)


def test_what_lies_off_the_grid_goes_with_its_coarse_field(note_caches: Path) -> None:
    fine, plain = batch(note_caches, spec=NoteTokenSpec(unquantised=True)), batch(note_caches)
    assert torch.equal(fine.tokens[..., :7], plain.tokens)
    for column, coarse in ((OFFSET, POSITION), (DURATION_REST, DURATION)):
        assert torch.equal(fine.free[..., column], plain.free[..., coarse])
        assert torch.equal(fine.level[:, column], plain.level[:, coarse])


@pytest.mark.slow
def test_a_network_of_notes_off_the_grid_is_trained_and_writes_some(
    train_composer: TrainComposer, tmp_path: Path
) -> None:
    spec = NoteTokenSpec(unquantised=True)
    network = {**NETWORK, "fields": list(spec.fields), "sizes": list(spec.sizes)}
    given = {"class_path": MODEL["model"]["class_path"], "init_args": network}
    train_composer(tmp_path, "--trainer.max_steps", "1", "--save_every", "1", model=given)
    composer = open_composer(tmp_path / "model")
    (score,) = composer.generate(notes=24, steps=2)
    onsets = [note.time / score.ticks_per_quarter * 24 for track in score.tracks for note in track.notes]
    assert any(abs(onset - round(onset)) > 0.02 for onset in onsets)
    wrong = {**given, "init_args": {**network, "sizes": [*spec.sizes[:-1], 7]}}
    with pytest.raises(UserError, match="give these as fields and sizes"):
        train_composer(tmp_path / "wrong", "--trainer.max_steps", "1", model=wrong)


def test_a_folder_that_is_no_cache_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no cache of notes") as refused:
        main("compose", ["--config", str(write_composer_config(tmp_path, tmp_path / "run"))])
    assert "\n" not in str(refused.value)


def test_a_picture_shows_notes_where_they_are() -> None:
    picture = roll(torch.tensor([[0, 12, 60, 11, 0, 0, 0], [1, 0, 64, 23, 0, 0, 0]]))
    assert picture.shape == (128, 48)
    assert (picture[60] > -10).nonzero().flatten().tolist() == list(range(12, 24))
    assert (picture[64] > -10).nonzero().flatten().tolist() == list(range(24, 48))
    assert float(picture[60, 12]) > float(picture[60, 13])


def test_the_task_names_its_module() -> None:
    module = importlib.import_module("ondes.training.composer")
    assert all(hasattr(module, name) for name in ("ComposerTraining", "NoteWindows"))
