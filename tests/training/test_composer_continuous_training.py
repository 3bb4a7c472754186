from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from note_caches import note_caches, write_composer_config  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import open_note_cache
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.representations.note_features import FEATURES, FeatureStatistics, from_features
from ondes.training.cli import main
from ondes.training.composer_continuous import FeatureDenoiser, chances
from ondes.training.note_windows import NoteWindows

__all__ = ["note_caches"]

NETWORK = {"width": 8, "depth": 1, "heads": 1, "hidden": 8, "kind": "features", "feature_size": len(FEATURES)}


def train(caches: Path, run: Path, *words: str, **network: Any) -> dict[str, Any]:
    path = write_composer_config(caches, run)
    settings = yaml.safe_load(path.read_text())
    settings["model"]["model"]["init_args"] = NETWORK | network
    path.write_text(yaml.safe_dump(settings))
    main("compose-continuous", ["--config", str(path), *words])
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)


def test_a_run_saves_a_pipeline_with_its_average_and_the_statistics_of_its_data(
    note_caches: Path, tmp_path: Path
) -> None:
    last = train(note_caches, tmp_path, "--trainer.max_steps", "2")
    pipeline = ComposerPipeline.from_pretrained(tmp_path / "model")
    prefix = "average.module.network."
    for key, value in pipeline.network.state_dict().items():
        assert torch.equal(value, last["state_dict"][prefix + key]), key
    expected = FeatureStatistics.fit(sequence for sequence, _ in open_note_cache(note_caches / "train"))
    kept = FeatureStatistics.from_config(pipeline.config["feature_statistics"])
    assert kept.mean == pytest.approx(expected.mean)
    assert kept.deviation == pytest.approx(expected.deviation)


def test_features_of_a_batch_are_its_notes(note_caches: Path) -> None:
    data = NoteWindows(note_caches / "train", note_caches / "validation", lengths=(16,), notes_per_batch=64)
    data.setup("fit")
    statistics = data.fit_statistics()
    batch = data.windows("train", seed=0).at(0)
    assert batch.features is not None
    bars = open_note_cache(note_caches / "train")[0][0].bars
    for tokens, features in zip(batch.tokens, batch.features, strict=True):
        notes = from_features(features.numpy(), statistics, bars)
        assert sorted(notes.pitch.tolist()) == sorted(tokens[:, 2].tolist())
        assert sorted(notes.instrument.tolist()) == sorted(tokens[:, 5].tolist())
    assert (batch.free.any(-1)[..., None] == batch.free)[..., [0, 1, 2, 3, 5, 6]].all()


def test_given_notes_are_shown_clean_and_cost_nothing(note_caches: Path) -> None:
    class Echo(NoteTransformer):
        def forward(self, notes: torch.Tensor, *rest: Any, **_: Any) -> torch.Tensor:
            self.seen, self.known = notes, rest[-1]
            return torch.zeros_like(notes)

    data = NoteWindows(note_caches / "train", note_caches / "validation", lengths=(16,), notes_per_batch=64)
    data.setup("fit")
    data.fit_statistics()
    batch = data.windows("train", seed=0).at(0)
    features = batch.features
    assert features is not None
    free = torch.zeros_like(batch.free)
    free[:, 5:8] = True
    batch = batch._replace(free=free)
    denoiser = FeatureDenoiser(Echo(**NETWORK))  # pyright: ignore[reportArgumentType]
    noise, timestep = chances(batch, torch.Generator().manual_seed(0))
    loss = denoiser(batch, noise, torch.full_like(timestep, 999))
    network = denoiser.network
    assert isinstance(network, Echo)
    assert torch.equal(network.seen[:, :5], features[:, :5])
    assert torch.allclose(network.seen[:, 5:8], noise[:, 5:8], atol=1e-5)
    assert torch.equal(network.known, ~free.any(-1)[..., None].expand_as(noise))
    # In pure noise the velocity is minus the data.
    assert float(loss) == pytest.approx(float(features[:, 5:8].square().mean()), rel=1e-4)
    assert sorted((timestep / 250).int().tolist()) == [0, 1, 2, 3]


def test_a_network_of_tokens_is_refused(note_caches: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="kind: features and feature_size: 14"):
        train(note_caches, tmp_path, kind="tokens")
