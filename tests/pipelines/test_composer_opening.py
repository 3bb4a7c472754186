"""Composers of every kind are opened by what their folders say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from composer_network import small_composer, small_network
from symusic.core import ScoreTick

from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.composer_opening import open_composer
from ondes.pipelines.dmc import DmcPipeline
from ondes.pipelines.opening import pipeline_class
from ondes.pipelines.separation_opening import open_separator
from ondes.tasks.composing import Order, composed
from tiny_model import save_tiny_published_composer


def notes_of(score: ScoreTick) -> list[tuple[int, ...]]:
    return sorted((note.time, note.duration, note.pitch) for track in score.tracks for note in track.notes)


def test_the_published_composer_writes_what_it_writes_by_itself(tmp_path: Path) -> None:
    save_tiny_published_composer(tmp_path / "dmc")
    whole = DmcPipeline.from_pretrained(tmp_path / "dmc")
    whole.network.save_pretrained(tmp_path / "bare")
    expected = [notes_of(score) for score in whole.generate(2, seed=3, steps=2)]
    told: list[float] = []
    for name in ("dmc", "bare"):
        opened = open_composer(tmp_path / name)
        order = Order("generate", None, 2, {"seed": 3, "steps": 2})
        made = composed(order, None, opened, lambda done, total: told.append(done / total))
        assert [notes_of(score) for score in made] == expected
    assert told == [0.5, 1.0] * 2
    assert opened.defaults() == {"steps": 1000}


def test_several_seeds_are_the_first_pieces_of_each(tmp_path: Path) -> None:
    composer = DmcPipeline.from_pretrained(save_tiny_published_composer(tmp_path / "dmc"))
    both = composer.sample(seed=[4, 9], steps=2)
    np.testing.assert_allclose(both[0], composer.sample(seed=4, steps=2)[0], atol=1e-4)
    np.testing.assert_allclose(both[1], composer.sample(seed=9, steps=2)[0], atol=1e-4)


def test_the_published_composer_is_asked_for_nothing_it_never_learned(tmp_path: Path) -> None:
    opened = open_composer(save_tiny_published_composer(tmp_path / "dmc"))
    with pytest.raises(
        UserError, match=r"cannot fill in bars or parts, only write new pieces; .*compose-small"
    ):
        composed(Order("infill", None, 1, {"bars": [1, 2]}), ScoreTick(480), opened, lambda *_: None)
    with pytest.raises(UserError, match="nothing of key and guidance scale in training"):
        composed(
            Order("generate", None, 1, {"seed": 1, "key": "C", "guidance_scale": 2.0}),
            None,
            opened,
            lambda *_: None,
        )
    with pytest.raises(UserError, match="is a composer, which writes scores"):
        pipeline_class(tmp_path / "dmc")


def test_a_network_alone_composes_as_in_its_pipeline(tmp_path: Path) -> None:
    small_network().save_pretrained(tmp_path / "run")
    alone = open_composer(tmp_path / "run")
    assert isinstance(alone, ComposerPipeline)
    expected = ComposerPipeline(small_network(), small_composer().scheduler).generate(
        notes=12, steps=2, seed=5
    )
    assert notes_of(alone.generate(notes=12, steps=2, seed=5)[0]) == notes_of(expected[0])
    NoteTransformer(kind="features", feature_size=14, width=8, depth=1, heads=2, hidden=8).save_pretrained(
        tmp_path / "features"
    )
    with pytest.raises(UserError, match="without the statistics of its data"):
        open_composer(tmp_path / "features")


def test_other_models_are_refused_by_name(tmp_path: Path) -> None:
    save_tiny_published_composer(tmp_path / "dmc")
    with pytest.raises(
        UserError, match="holds a DmcPipeline, not a SeparationPipeline; give another separator"
    ):
        open_separator(tmp_path / "dmc")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        open_composer(tmp_path / "torn")
