"""Weights of listening networks are read from their public forms, and nothing else is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ondes.checkpoints import embedding_weights
from ondes.checkpoints.embedding_weights import (
    from_musicnn_tensors,
    read_musicnn,
    read_state_dict,
    read_vggish,
)
from ondes.checkpoints.tensor_bundle import MAGIC, read_tensor_bundle
from ondes.errors import UserError
from ondes.models.musicnn import Musicnn
from ondes.models.vggish import VGGish


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def table_block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A block of a sorted table in which keys share what they can with the one before."""
    out, before = b"", b""
    for key, value in pairs:
        shared = next(
            (k for k, (a, b) in enumerate(zip(before, key, strict=False)) if a != b),
            min(len(before), len(key)),
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def write_bundle(folder: Path, tensors: dict[str, np.ndarray], *, compressed: bool = False) -> None:
    """A checkpoint as TensorFlow 1 writes it, in two blocks; checksums are left at zero."""
    entries, data = [(b"", b"\x08\x01")], b""
    for name, array in sorted(tensors.items()):
        dtype = {"float32": 1, "int64": 9}[array.dtype.name]
        shape = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in array.shape))
        entry = b"\x08" + varint(dtype) + b"\x12" + varint(len(shape)) + shape
        entry += (
            (b"\x20" + varint(len(data)) if data else b"") + b"\x28" + varint(array.nbytes) + b"\x35\0\0\0\0"
        )
        entries.append((name.encode(), entry))
        data += np.ascontiguousarray(array).tobytes()
    index, handles = b"", []
    for part in (entries[:3], entries[3:]):
        if part:
            block = table_block(part)
            handles.append((part[-1][0], varint(len(index)) + varint(len(block))))
            index += block + (b"\x01" if compressed else b"\0") + b"\0\0\0\0"
    top = table_block(handles)
    footer = varint(0) + varint(0) + varint(len(index)) + varint(len(top))
    index += top + b"\0" * 5 + footer.ljust(40, b"\0") + MAGIC
    folder.mkdir(exist_ok=True)
    (folder / ".index").write_bytes(index)
    (folder / ".data-00000-of-00001").write_bytes(data)


def test_a_bundle_gives_back_what_was_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {
        "dense/bias": random.normal(size=200).astype(np.float32),
        "dense/kernel": random.normal(size=(150, 2)).astype(np.float32),
        "dense_1/bias": np.arange(3),
        "step": np.array(2.5, np.float32),
    }
    write_bundle(tmp_path / "model", tensors)
    read = read_tensor_bundle(tmp_path / "model")
    assert sorted(read) == sorted(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].shape == value.shape


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.index does not exist"):
        read_tensor_bundle(tmp_path)
    write_bundle(tmp_path, {"a": np.zeros(3, np.float32)}, compressed=True)
    with pytest.raises(UserError, match="a compressed block"):
        read_tensor_bundle(tmp_path)
    (tmp_path / ".index").write_bytes(b"nothing" * 20)
    with pytest.raises(UserError, match="not a TensorFlow checkpoint"):
        read_tensor_bundle(tmp_path)


def musicnn_tensors() -> dict[str, np.ndarray]:
    """Tensors of the package's names and shapes, made back from a network of ours."""
    tensors = {}
    places = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    norms = ["norm", *(f"front_norms.{k}" for k in range(5)), *(f"middle_norms.{k}" for k in range(3))]
    names = {name: index for index, name in enumerate([*norms, "pooled_norm", "dense_norm"])}
    for key, value in Musicnn().state_dict().items():
        owner, what = key.rsplit(".", 1)
        if what == "num_batches_tracked":
            continue
        array = value.numpy()
        if owner in names:
            tensors[f"batch_normalization{'_' * (names[owner] > 0)}{names[owner] or ''}/{places[what]}"] = (
                array
            )
        elif owner == "dense":
            tensors[f"dense/{'kernel' if what == 'weight' else 'bias'}"] = array.T
        else:
            kind, number = owner.split(".")
            index = int(number) + (5 if kind == "middles" else 0)
            if array.ndim > 1:
                array = (
                    array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.transpose(2, 1, 0)[:, :, None]
                )
            name = "conv2d" + (f"_{index}" if index else "")
            tensors[f"{name}/{'kernel' if what == 'weight' else 'bias'}"] = array
    return tensors


def test_a_folder_of_the_package_musicnn_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = musicnn_tensors()
    assert tensors["conv2d_5/kernel"].shape == (7, 561, 1, 64)
    assert tensors["conv2d/kernel"].shape == (7, 38, 1, 204)
    write_bundle(tmp_path / "MSD_musicnn", tensors | {"beta1_power": np.array(0.5, np.float32)})
    network = read_musicnn(tmp_path / "MSD_musicnn")
    expected = from_musicnn_tensors(tensors)
    for name, value in expected.items():
        assert torch.equal(network.state_dict()[name], value), name
    np.testing.assert_array_equal(network.dense.weight.detach().numpy(), tensors["dense/kernel"].T)


def test_a_tensor_of_another_shape_is_named_with_both(tmp_path: Path) -> None:
    tensors = musicnn_tensors()
    tensors["dense/kernel"] = tensors["dense/kernel"][:9]
    write_bundle(tmp_path, tensors)
    with pytest.raises(
        UserError, match=r"dense\.weight has shape \(200, 9\), but Musicnn needs \(200, 1506\)"
    ):
        read_musicnn(tmp_path)
    del tensors["dense/kernel"]
    write_bundle(tmp_path, tensors)
    with pytest.raises(UserError, match=r"lacks dense\.bias"):
        read_musicnn(tmp_path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vggish_is_read_from_the_public_layout(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(*, rectified: bool) -> VGGish:
        return VGGish((1, 2, 1, 2, 1, 2), 3, rectified=rectified)

    torch.manual_seed(1)
    state = small(rectified=False).state_dict()
    file = tmp_path / f"vggish{suffix}"
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    monkeypatch.setattr(embedding_weights, "VGGish", small)
    network = read_vggish(file, rectified=True)
    assert network.rectified
    for name, value in state.items():
        assert torch.equal(network.state_dict()[name], value)


class Foreign:
    """Something a pickle could run."""


def test_pickles_with_anything_but_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"a": Foreign()}, tmp_path / "foreign.pth")
    with pytest.raises(UserError, match=r"is refused: its pickle needs .*Foreign"):
        read_state_dict(tmp_path / "foreign.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="is not a state dict"):
        read_state_dict(tmp_path / "list.pth")
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_state_dict(tmp_path / "text.safetensors")


def test_a_place_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a file of weights, or 'user/name'"):
        read_vggish(tmp_path / "missing.pth")
