"""Every public layout becomes a model that plays, with its outputs unchanged, and goes back into a public layout."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sine_pipeline import Ondes

from ondes.checkpoints.paddle import WEIGHTS
from ondes.checkpoints.spectrogram_folder import PICKLE, SAFETENSORS, read_spectrogram_folder
from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES, SpectrogramParts
from ondes.models.port_spectrogram_diffusion import PortDiffusion
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from port_layout import lightning_content, port_network
from spectrogram_layout import CONFIGS, assert_golden, layout_state, write_layout
from t5x_layout import write_t5x

LOOKED_UP = ("token_embedder.weight", "position_encoding.weight")


def huggingface(folder: Path) -> Path:
    return write_layout(folder, torch.save, PICKLE)


def paddle(folder: Path) -> Path:
    for part, config in CONFIGS.items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config))
        state = {
            name: np.ascontiguousarray(value.T) if value.ndim == 2 and name not in LOOKED_UP else value
            for name, value in layout_state(part).items()
        }
        (folder / part / WEIGHTS).write_bytes(pickle.dumps(state))
    return folder


def port(folder: Path) -> Path:
    folder.mkdir()
    torch.save(lightning_content(), folder / "last.ckpt")
    return folder / "last.ckpt"


SOURCES: dict[str, Callable[[Path], Path]] = {
    "huggingface": huggingface,
    "t5x": write_t5x,
    "paddle": paddle,
    "port": port,
}


@pytest.fixture
def beats() -> int:
    """The song is as short as it comes, since networks play it."""
    return 1


def parts_of(folder: Path) -> SpectrogramParts:
    loaded = SpectrogramDiffusionPipeline.from_pretrained(folder)
    return SpectrogramParts(loaded.notes_encoder, loaded.continuous_encoder, loaded.decoder, {}, None, {})


@pytest.mark.parametrize("layout", ["huggingface", "t5x", "paddle"])
def test_each_published_layout_is_found_and_keeps_its_outputs(layout, ondes: Ondes, tmp_path: Path) -> None:
    source = SOURCES[layout](tmp_path / "source")
    run = ondes("import", source, "-o", tmp_path / "models" / "mine")
    assert (run.status, run.out) == (0, "")
    assert f"imported from the layout '{layout}'" in run.err
    assert_golden(parts_of(tmp_path / "models" / "mine"))
    said = json.loads((tmp_path / "models" / "mine" / "source.json").read_text())
    assert (said["layout"], said["name"]) == (layout, "source")
    assert len(said["sha256"]) == (2 if layout == "t5x" else 3)
    if layout != "t5x":
        for name, sum_ in said["sha256"].items():
            assert sum_ == hashlib.sha256((source / name).read_bytes()).hexdigest()


def test_a_model_sounds_the_same_before_and_after(ondes: Ondes, tmp_path: Path, song: Path) -> None:
    source = huggingface(tmp_path / "source")
    assert ondes("import", source, "-o", tmp_path / "mine").status == 0
    made = [
        SpectrogramDiffusionPipeline.from_pretrained(folder).log_mel(song, steps=2, seed=3)
        for folder in (source, tmp_path / "mine")
    ]
    assert made[0].std() > 0.1
    np.testing.assert_array_equal(made[0], made[1])


def test_a_port_checkpoint_keeps_its_tokens_and_its_scaling(ondes: Ondes, tmp_path: Path) -> None:
    assert ondes("import", port(tmp_path / "a"), "-o", tmp_path / "mine").status == 0
    loaded = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "mine")
    assert isinstance(loaded.decoder, PortDiffusion)
    wanted = port_network().state_dict()
    assert list(loaded.decoder.state_dict()) == list(wanted)
    for name, value in loaded.decoder.state_dict().items():
        assert torch.equal(value, wanted[name])
    assert loaded.codec.vocabulary_size == 901
    assert loaded.config["feature_range"] == [pytest.approx(-11.25), pytest.approx(4.5)]
    assert (loaded.config["programs"], loaded.config["lead_frames"]) == ("as-is", 1)
    assert json.loads((tmp_path / "mine" / "source.json").read_text())["name"] == "last.ckpt"


def test_the_layout_can_be_named(ondes: Ondes, tmp_path: Path) -> None:
    source = huggingface(tmp_path / "source")
    assert ondes("import", source, "--from", "huggingface", "-o", tmp_path / "mine").status == 0
    run = ondes("import", source, "--from", "t5x", "-o", tmp_path / "other")
    assert run.status == 2
    assert "is no checkpoint of T5X" in run.err
    assert not (tmp_path / "other").exists()


def test_import_and_export_give_the_tensors_back(ondes: Ondes, tmp_path: Path) -> None:
    assert ondes("import", paddle(tmp_path / "source"), "-o", tmp_path / "mine").status == 0
    run = ondes("export", tmp_path / "mine", "--to", "diffusers", "-o", tmp_path / "theirs")
    assert run.status == 0
    assert "note:" not in run.err
    for part, config in CONFIGS.items():
        state = load_file(tmp_path / "theirs" / part / SAFETENSORS)
        assert set(state) == set(layout_state(part))
        for name, value in layout_state(part).items():
            np.testing.assert_array_equal(state[name].numpy(), value)
        written = json.loads((tmp_path / "theirs" / part / "config.json").read_text())
        assert {name: value for name, value in written.items() if name[0] != "_"} == config
    assert_golden(read_spectrogram_folder(tmp_path / "theirs"))


def test_a_pickled_model_is_exported_as_safetensors(ondes: Ondes, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "source", torch.save, PICKLE, parts=(NOTES, DECODER))
    run = ondes("export", source, "-o", tmp_path / "theirs")
    assert run.status == 0
    assert "note: diffusers has no pipeline without context" in run.err
    assert_golden(read_spectrogram_folder(tmp_path / "theirs"), context_used=False)
    assert list(tmp_path.glob("theirs/**/*.bin")) == []


@pytest.mark.slow
def test_8_bit_graphs_state_their_error_and_are_for_onnx_alone(ondes: Ondes, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    source = huggingface(tmp_path / "source")
    for layout in ("openvino", "diffusers"):
        run = ondes("export", source, "-o", tmp_path / "graphs", "--int8", "--to", layout)
        assert run.status == 2
        assert f"no 8 bits for '{layout}'; 'onnx' has them: pass --to onnx, or leave out --int8" in run.err
    run = ondes("export", source, "-o", tmp_path / "graphs", "--int8", "--to", "onnx")
    assert run.status == 0, run.err
    assert re.search(r"8 bits change the decoder's answer to noise by \d+\.\d\d %", run.err)
    assert (tmp_path / "graphs" / "decoder_int8.onnx").is_file()


def test_a_port_model_is_not_exported(ondes: Ondes, tmp_path: Path) -> None:
    assert ondes("import", port(tmp_path / "a"), "-o", tmp_path / "mine").status == 0
    run = ondes("export", tmp_path / "mine", "-o", tmp_path / "theirs")
    assert run.status == 2
    assert "is a network of the PyTorch port, which diffusers does not have" in run.err
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.parent / "nowhere" / "at" / "all", "there is no "),
        (lambda p: p.mkdir() or p, "holds no model that is known; give a folder with notes_encoder"),
        (
            lambda p: p.with_suffix(".zip").write_bytes(b"PK") and p.with_suffix(".zip"),
            "unzip it, and give the folder",
        ),
        (lambda p: p.write_bytes(b"no pickle") and p, "cannot be read as weights (it is not"),
        (lambda p: write_layout(p, torch.save, PICKLE, parts=(NOTES, CONTEXT)), "decoder has no config.json"),
        (
            lambda p: write_layout(p, save_file, SAFETENSORS, parts=(CONTEXT,)),
            "notes_encoder has no config.json",
        ),
    ],
)
def test_a_bad_source_is_one_line_and_status_2(make, words: str, ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("import", make(tmp_path / "source"), "-o", tmp_path / "mine")
    assert (run.status, run.out) == (2, "")
    assert words in run.err
    assert run.err.startswith("ondes: ")
    assert run.err.count("\n") == 1
    assert not (tmp_path / "mine").exists()
    assert not list(tmp_path.glob(".ondes-*"))


def test_nothing_is_written_over(ondes: Ondes, tmp_path: Path) -> None:
    source = huggingface(tmp_path / "source")
    for command in ("import", "export"):
        run = ondes(command, source, "-o", source)
        assert run.status == 2
        assert "already exists" in run.err
    assert_golden(read_spectrogram_folder(source))


def test_a_model_of_ours_is_not_imported_again(ondes: Ondes, tmp_path: Path) -> None:
    assert ondes("import", huggingface(tmp_path / "source"), "-o", tmp_path / "mine").status == 0
    run = ondes("import", tmp_path / "mine", "-o", tmp_path / "again")
    assert run.status == 2
    assert "is in the layout of ondes already; give it to --model as it is" in run.err


def test_a_model_of_another_kind_is_not_exported(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("export", "synth-small", "-o", tmp_path / "theirs")
    assert run.status == 2
    assert "cannot be loaded as a Spectrogram Diffusion model" in run.err


def test_an_unknown_layout_is_refused(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("import", tmp_path, "--from", "tf1", "-o", tmp_path / "mine")
    assert run.status == 2
    assert "tf1" in run.err
