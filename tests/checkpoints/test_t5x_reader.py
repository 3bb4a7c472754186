"""Checkpoints in the layout of T5X give the outputs of the published code; what is not one is refused."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES, PUBLIC_SCHEDULER, SpectrogramParts
from ondes.checkpoints.t5x import find_t5x, read_t5x
from ondes.errors import UserError
from spectrogram_layout import CONFIGS, assert_golden
from t5x_layout import packed, store_inside, write_index, write_t5x


def read(folder: Path) -> SpectrogramParts:
    parts = read_t5x(folder)
    assert isinstance(parts, SpectrogramParts)
    return parts


def settings(network: Any) -> dict[str, Any]:
    return {name: value for name, value in network.config.items() if name[0] != "_"}


@pytest.mark.slow
def test_zarr_folders_and_inline_arrays_give_the_published_outputs(tmp_path):
    parts = read(write_t5x(tmp_path / "a"))
    assert_golden(parts)
    assert settings(parts.notes_encoder) == CONFIGS[NOTES]
    assert settings(parts.continuous_encoder) == {**CONFIGS[CONTEXT], "terminal_relative": True}
    assert settings(parts.decoder) == CONFIGS[DECODER]
    assert parts.scheduler == PUBLIC_SCHEDULER
    assert parts.melgan is None


def test_a_checkpoint_without_context_has_other_names(tmp_path):
    parts = read(write_t5x(tmp_path / "a", context=False))
    assert parts.continuous_encoder is None
    assert_golden(parts, context_used=False)


def test_everything_may_lie_in_the_index(tmp_path, monkeypatch):
    folder = write_t5x(tmp_path / "a", store=store_inside)
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    assert_golden(read(folder))


def test_bfloat16_in_the_index_becomes_single_precision(tmp_path):
    def store(name: str, array: np.ndarray, folder: Path) -> Any:
        raw = (array.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        return msgpack.ExtType(1, msgpack.packb((array.shape, "bfloat16", raw), use_bin_type=True))

    found = read(write_t5x(tmp_path / "a", store=store)).decoder.state_dict()
    whole = read(write_t5x(tmp_path / "b", store=store_inside)).decoder.state_dict()
    for name, value in whole.items():
        cut = value.contiguous().view(torch.int32) >> 16 << 16
        assert torch.equal(found[name], cut.view(torch.float32))


def test_the_longest_trained_checkpoint_is_taken(tmp_path):
    write_t5x(tmp_path, store=store_inside)
    for step in ("9", "1000000", "x"):
        (tmp_path / f"checkpoint_{step}").mkdir()
    assert find_t5x(tmp_path) == tmp_path / "checkpoint_500000"
    (tmp_path / "checkpoint_1000000" / "checkpoint").touch()
    assert find_t5x(tmp_path) == tmp_path / "checkpoint_1000000"
    assert find_t5x(tmp_path / "checkpoint_500000") == tmp_path / "checkpoint_500000"
    assert find_t5x(tmp_path / "none") is None


def test_without_settings_heads_have_64_channels(tmp_path):
    folder = write_t5x(tmp_path / "a", store=store_inside)
    (folder / "config.gin").write_text("T5Config.head_dim = 4")
    assert read(folder).decoder.config["num_heads"] == 4
    (folder / "config.gin").unlink()
    with pytest.raises(UserError, match="attention of 16 channels has no whole number of heads of 64"):
        read(folder)


def test_one_changed_byte_changes_the_hash(tmp_path):
    folder = write_t5x(tmp_path / "a")
    place = folder / "checkpoint_500000"
    before = read(folder).hashes
    assert before["checkpoint"] == hashlib.sha256((place / "checkpoint").read_bytes()).hexdigest()
    with (place / "target.decoder.spec_out_dense.kernel" / ".zarray").open("a") as file:
        file.write("\n")
    after = read(folder).hashes
    assert after["checkpoint"] == before["checkpoint"]
    assert after["target.*"] != before["target.*"]


def test_an_index_leads_nowhere_else(tmp_path):
    folder = write_t5x(tmp_path / "a")
    place = folder / "checkpoint_500000"
    shutil.move(
        place / "target.decoder.spec_out_dense.kernel", tmp_path / "target.decoder.spec_out_dense.kernel"
    )
    data = (place / "checkpoint").read_bytes()
    name = b"target.decoder.spec_out_dense.kernel"
    away = b"../../../target.decoder.spec_out_dense.kernel"
    changed = data.replace(b"\xd9" + bytes([len(name)]) + name, b"\xd9" + bytes([len(away)]) + away)
    assert changed != data
    (place / "checkpoint").write_bytes(changed)
    with pytest.raises(
        UserError, match=r"has no array target\.decoder\.spec_out_dense\.kernel \(its \.zarray\)"
    ):
        read(folder)


def tree(folder: Path) -> dict[str, Any]:
    data = (folder / "checkpoint_500000" / "checkpoint").read_bytes()
    return msgpack.unpackb(data, ext_hook=msgpack.ExtType)["optimizer"]["target"]


def rewrite(folder: Path, change: Any) -> None:
    target = tree(folder)
    change(target)
    write_index(folder / "checkpoint_500000", target)


def no_array(target: dict[str, Any]) -> None:
    target["decoder"]["decoder_norm"]["scale"] = "text"


def another_shape(target: dict[str, Any]) -> None:
    target["decoder"]["decoder_norm"]["scale"] = packed(np.ones(7, np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.clear(), "holds nothing under 'target', but must hold token_encoder"),
        (lambda t: t.pop("decoder"), "holds token_encoder, continuous_encoder under 'target'"),
        (lambda t: t["decoder"].pop("time_emb_dense0"), "lacks the tensor conditioning_emb.0.weight"),
        (lambda t: t["decoder"].pop("spec_out_dense"), "no matrix spec_out.weight of decoder"),
        (lambda t: t["decoder"].pop("decoder_norm"), r"lacks the tensor decoder_norm.weight \(32,\)"),
        (
            lambda t: t["decoder"].update(logits_dense={"kernel": packed(np.ones(2))}),
            "array logits_dense/kernel, which",
        ),
        (no_array, "decoder_norm/scale is neither an array nor a zarr folder"),
        (another_shape, r"decoder_norm.weight is \(7,\), but its settings ask for \(32,\)"),
    ],
)
def test_other_trees_are_refused_in_one_line(tmp_path, change, words):
    folder = write_t5x(tmp_path / "a", store=store_inside)
    rewrite(folder, change)
    with pytest.raises(UserError, match=words) as refused:
        read(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read as an index of T5X"),
        (b"model_checkpoint_path: a", "cannot be read as an index of T5X"),
        (msgpack.packb([1]), "holds a list, not a tree"),
        (msgpack.packb({"a": msgpack.ExtType(7, b"")}), "extension type 7"),
    ],
)
def test_a_damaged_index_is_one_line(tmp_path, data, words):
    (tmp_path / "checkpoint").write_bytes(data)
    with pytest.raises(UserError, match=words):
        read(tmp_path)


def test_a_damaged_array_is_named(tmp_path):
    folder = write_t5x(tmp_path / "a")
    array = folder / "checkpoint_500000" / "target.decoder.spec_out_dense.kernel"
    for chunk in array.glob("[0-9]*"):
        chunk.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"spec_out_dense\.kernel cannot be read as an array \("):
        read(folder)


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no checkpoint of T5X: it has no file checkpoint; unzip it"):
        read(tmp_path)


@pytest.mark.parametrize("library", ["tensorstore", "msgpack"])
def test_missing_libraries_are_named_with_their_extra(tmp_path, monkeypatch, library):
    folder = write_t5x(tmp_path / "a")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=rf"package '{library}' is missing.*pip install 'ondes\[t5x\]'"):
        read(folder)
