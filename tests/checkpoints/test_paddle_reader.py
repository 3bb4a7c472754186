"""Models in the layout of PaddleNLP give the outputs of the published code."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ondes.checkpoints.paddle import BOOKKEEPING, WEIGHTS, is_paddle_folder, read_paddle
from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES, PUBLIC_SCHEDULER
from ondes.errors import UserError
from spectrogram_layout import CONFIGS, assert_golden, layout_state


def paddle_state(part: str) -> dict[str, Any]:
    """Weights as Paddle stores them: what multiplies is (in, out); beside them its own names."""
    state: dict[str, Any] = {}
    for name, value in layout_state(part).items():
        looked_up = name in ("token_embedder.weight", "position_encoding.weight")
        state[name] = value if value.ndim < 2 or looked_up else np.ascontiguousarray(value.T)
    return state | {BOOKKEEPING: {name: f"linear_{i}.w_0" for i, name in enumerate(state)}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "published"
    for part, config in CONFIGS.items():
        (made / part).mkdir(parents=True)
        (made / part / "config.json").write_text(json.dumps(config | {"_ppdiffusers_version": "0.14"}))
        (made / part / WEIGHTS).write_bytes(pickle.dumps(paddle_state(part), 4))
    return made


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the decoder's weights."""
    state = paddle_state(DECODER)
    change(state)
    (folder / DECODER / WEIGHTS).write_bytes(pickle.dumps(state))


def test_paddle_weights_give_the_published_outputs(folder):
    parts = read_paddle(folder)
    assert_golden(parts)
    assert parts.continuous_encoder is not None
    assert parts.continuous_encoder.config["terminal_relative"] is True
    assert parts.scheduler == PUBLIC_SCHEDULER
    for name, sum_ in parts.hashes.items():
        assert sum_ == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert list(parts.hashes) == [f"{part}/{WEIGHTS}" for part in (NOTES, CONTEXT, DECODER)]


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_with_their_graph_names_are_read(folder, protocol):
    state = {
        name: (f"w_{name}", value) for name, value in paddle_state(DECODER).items() if name != BOOKKEEPING
    }
    (folder / DECODER / WEIGHTS).write_bytes(pickle.dumps(state, protocol))
    assert_golden(read_paddle(folder))


def test_the_vocoder_and_the_scheduler_beside_them_are_kept(folder):
    (folder / "melgan").mkdir()
    (folder / "melgan" / "model.onnx").write_bytes(b"a vocoder")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(
        '{"_class_name": "DDPMScheduler", "clip_sample": true}'
    )
    parts = read_paddle(folder)
    assert parts.melgan == folder / "melgan" / "model.onnx"
    assert parts.scheduler == {"_class_name": "DDPMScheduler", "clip_sample": True}


def test_a_model_without_context_is_read(folder):
    shutil.rmtree(folder / CONTEXT)
    assert_golden(read_paddle(folder), context_used=False)


def test_paddle_is_told_from_other_layouts(folder, tmp_path):
    assert is_paddle_folder(folder)
    assert not is_paddle_folder(tmp_path)


def test_linear_weights_that_are_not_turned_do_not_fit(folder):
    rewrite(folder, lambda state: state.update({"spec_out.weight": state["spec_out.weight"].T.copy()}))
    with pytest.raises(
        UserError, match=r"spec_out.weight is \(32, 128\), but its settings ask for \(128, 32\)"
    ):
        read_paddle(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda f: (f / NOTES / WEIGHTS).unlink(),
            r"has no notes_encoder/model_state\.pdparams; give a whole",
        ),
        (lambda f: (f / CONTEXT / WEIGHTS).unlink(), r"has no continuous_encoder/model_state\.pdparams"),
        (
            lambda f: (f / NOTES / WEIGHTS).write_bytes(pickle.dumps([1])),
            "holds a list; give a network's weights",
        ),
        (lambda f: (f / NOTES / WEIGHTS).write_bytes(b"\x80\x04]"), "cannot be read as a pickle of arrays"),
        (lambda f: rewrite(f, lambda s: s.update(x="text")), "'x' is a str; only arrays are known"),
        (
            lambda f: rewrite(f, lambda s: s.update(x=os.getcwd)),
            rf"its pickle needs {os.getcwd.__module__}\.getcwd, but",
        ),
        (
            lambda f: rewrite(f, lambda s: s.pop("spec_out.weight")),
            r"lacks the tensor spec_out.weight \(128, 32\)",
        ),
        (
            lambda f: (f / DECODER / "config.json").unlink(),
            "of 16 channels has no whole number of heads of 64",
        ),
        (lambda f: (f / DECODER / "config.json").write_text("{"), "is not JSON"),
    ],
)
def test_each_kind_of_bad_folder_is_one_line(folder, damage, words):
    damage(folder)
    with pytest.raises(UserError, match=words) as refused:
        read_paddle(folder)
    assert "\n" not in str(refused.value)
