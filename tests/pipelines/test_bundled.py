from __future__ import annotations

import json
from pathlib import Path

import pytest

from ondes.errors import UserError
from ondes.pipelines import bundled
from ondes.pipelines.bundled import (
    bundled_models,
    resolve,
    verify_checksums,
    verify_saved,
    write_checksums,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models with one of each kind."""
    for name, kind in (("synth-tiny", "synthesiser"), ("vocoder-tiny", "vocoder")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps({"kind": kind, "licence": "CC0"}))
    (tmp_path / "no-model").mkdir()
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    return tmp_path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with weights whose checksums are noted."""
    (tmp_path / "denoiser").mkdir()
    (tmp_path / "denoiser" / "model.safetensors").write_bytes(bytes(range(256)))
    write_checksums(tmp_path)
    return tmp_path


def test_bundled_models_are_read_from_their_cards(package: Path) -> None:
    assert [(model.name, model.kind) for model in bundled_models()] == [
        ("synth-tiny", "synthesiser"),
        ("vocoder-tiny", "vocoder"),
    ]
    assert bundled_models()[0].card["licence"] == "CC0"


def test_a_bundled_name_leads_into_the_package(package: Path) -> None:
    assert resolve("synth-tiny", kind="synthesiser", config="model_index.json") == package / "synth-tiny"


def test_a_folder_leads_to_itself(package: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").touch()
    assert resolve(str(tmp_path / "mine"), kind="vocoder", config="config.json") == tmp_path / "mine"


def test_a_hub_id_stays_as_it_is(package: Path) -> None:
    assert resolve("somebody/some-model", kind="vocoder", config="config.json") == "somebody/some-model"


@pytest.mark.parametrize("name", ["synth-tin", "vocoder-tiny", "./a/b", "/a", "a/b/c", ""])
def test_what_leads_nowhere_is_refused_with_the_names_there_are(
    name: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match=r"synthesiser.*(synth-tiny|no model_index\.json)"):
        resolve(name, kind="synthesiser", config="model_index.json")


def test_a_folder_that_is_no_model_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a saved vocoder: it has no config\.json"):
        resolve(tmp_path / "no-model", kind="vocoder", config="config.json")


def test_whole_weights_pass_and_so_do_those_without_a_note(saved: Path) -> None:
    verify_checksums(saved)
    (saved / "checksums.json").unlink()
    verify_checksums(saved)


@pytest.mark.parametrize("place", [0, 100, 255])
def test_a_flipped_bit_is_found(place: int, saved: Path) -> None:
    file = saved / "denoiser" / "model.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[place] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        verify_checksums(saved)


def test_a_missing_file_is_named(saved: Path) -> None:
    (saved / "denoiser" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks denoiser.model\.safetensors"):
        verify_checksums(saved)


@pytest.mark.parametrize("text", ["{", "3", "[1]"])
def test_a_damaged_note_is_one_line(text: str, saved: Path) -> None:
    (saved / "checksums.json").write_text(text)
    with pytest.raises(UserError, match=r"checksums\.json is damaged"):
        verify_checksums(saved)


@pytest.fixture
def pipeline(saved: Path) -> Path:
    """A saved pipeline of a network, a scheduler and a vocoder for onnxruntime, with settings that are lists."""
    (saved / "denoiser" / "config.json").write_text("{}")
    for part in ("scheduler", "melgan"):
        (saved / part).mkdir()
    for file in ("scheduler/scheduler_config.json", "melgan/config.json", "melgan/model.onnx"):
        (saved / file).write_text("{}")
    entries = {
        "_class_name": "SomePipeline",
        "denoiser": ["ondes.models.note_denoiser", "NoteDenoiser"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "melgan": ["ondes.models.mel_decoder", "OnnxMelDecoder"],
        "notes_encoder": [None, None],
        "feature_range": [-11.5, 4.0],
        "default_ensembles": ["piano", "choir"],
    }
    (saved / "model_index.json").write_text(json.dumps(entries))
    return saved


def test_a_whole_pipeline_passes(pipeline: Path) -> None:
    verify_saved(pipeline)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("denoiser", r"has no folder denoiser, which its model_index\.json names; save or install"),
        ("scheduler", r"has no folder scheduler, which its model_index\.json names; save or install"),
        ("denoiser/config.json", r"denoiser has no config\.json; save or install"),
        (
            "denoiser/model.safetensors",
            r"denoiser has no weights \(\.safetensors or \.onnx\); save or install",
        ),
        ("scheduler/scheduler_config.json", r"scheduler has no scheduler_config\.json; save or install"),
        ("melgan/model.onnx", r"melgan has no weights \(\.safetensors or \.onnx\); save or install"),
    ],
)
def test_what_a_saved_pipeline_lacks_is_named(lost: str, words: str, pipeline: Path) -> None:
    (pipeline / lost).rename(pipeline.parent / f"{pipeline.name}-lost")
    with pytest.raises(UserError, match=words):
        verify_saved(pipeline)


def test_a_component_that_the_caller_brings_may_be_missing(pipeline: Path) -> None:
    (pipeline / "scheduler").rename(pipeline.parent / f"{pipeline.name}-lost")
    verify_saved(pipeline, given={"scheduler"})


def test_a_network_alone_needs_its_weights(saved: Path) -> None:
    folder = saved / "denoiser"
    (folder / "config.json").write_text("{}")
    verify_saved(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="denoiser has no weights"):
        verify_saved(folder)


@pytest.mark.parametrize("text", ["{", "3", "[1]"])
def test_a_damaged_index_is_one_line(text: str, pipeline: Path) -> None:
    (pipeline / "model_index.json").write_text(text)
    with pytest.raises(UserError, match=r"model_index\.json is damaged; save or install"):
        verify_saved(pipeline)
