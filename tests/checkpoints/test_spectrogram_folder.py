"""The published layout is read as the published code reads it, and what is written can be read by both."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.t5_film_transformer import T5FilmDecoder
from safetensors.torch import load_file, save_file

from ondes.checkpoints import spectrogram_folder as reader
from ondes.checkpoints.spectrogram_folder import (
    PICKLE,
    PUBLIC_SCHEDULER,
    SAFETENSORS,
    is_spectrogram_folder,
    read_spectrogram_folder,
    write_spectrogram_folder,
)
from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES
from ondes.errors import UserError
from spectrogram_layout import CONFIGS, assert_golden, layout_state, write_layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Weights as pickles, as they were published."""
    made = write_layout(tmp_path / "published", torch.save, PICKLE)
    (made / "scheduler").mkdir()
    stated = {**PUBLIC_SCHEDULER, "_diffusers_version": "0.14.0.dev0", "steps_offset": 0}
    (made / "scheduler" / "scheduler_config.json").write_text(json.dumps(stated))
    (made / "melgan").mkdir()
    (made / "melgan" / "model.onnx").write_bytes(b"a vocoder")
    entry = ["spectrogram_diffusion", "SpectrogramNotesEncoder"]
    index = {"_class_name": "SpectrogramDiffusionPipeline", "notes_encoder": entry}
    (made / "model_index.json").write_text(json.dumps(index))
    return made


def change(folder: Path, part: str, **settings: Any) -> None:
    """Change the settings of a network; None leaves one out."""
    file = folder / part / "config.json"
    config = json.loads(file.read_text()) | settings
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_published_pickles_give_the_published_outputs(folder):
    parts = read_spectrogram_folder(folder)
    assert_golden(parts)
    assert not parts.decoder.training
    assert parts.melgan == folder / "melgan" / "model.onnx"
    assert parts.scheduler == {**PUBLIC_SCHEDULER, "steps_offset": 0}


def test_safetensors_give_the_published_outputs(tmp_path):
    assert_golden(read_spectrogram_folder(str(write_layout(tmp_path / "a", save_file, SAFETENSORS))))


def test_a_model_without_context_scheduler_and_vocoder_is_read(tmp_path):
    made = write_layout(tmp_path / "a", save_file, SAFETENSORS, parts=(NOTES, DECODER))
    parts = read_spectrogram_folder(made)
    assert parts.continuous_encoder is None
    assert parts.melgan is None
    assert parts.scheduler == PUBLIC_SCHEDULER
    assert_golden(parts, context_used=False)


def test_hashes_of_all_that_was_read_are_kept(folder):
    hashes = read_spectrogram_folder(folder).hashes
    names = [f"{part}/{PICKLE}" for part in (NOTES, CONTEXT, DECODER)]
    assert list(hashes) == [*names, "melgan/model.onnx"]
    for name, sum_ in hashes.items():
        assert sum_ == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_the_wrong_default_of_diffusers_is_not_taken(folder):
    assert T5FilmDecoder(d_model=8, num_layers=1, num_heads=1).config["max_decoder_noise_time"] == 2000
    change(folder, DECODER, max_decoder_noise_time=None)
    assert_golden(read_spectrogram_folder(folder))
    change(folder, DECODER, max_decoder_noise_time=2000.0)
    with pytest.raises(AssertionError):
        assert_golden(read_spectrogram_folder(folder))


def test_unknown_settings_are_ignored(folder):
    change(folder, DECODER, feed_forward_proj="gated-gelu", _name_or_path="somewhere", new_in_2027=[1])
    assert_golden(read_spectrogram_folder(folder))


def test_half_precision_becomes_single(tmp_path):
    made = write_layout(
        tmp_path / "a",
        lambda state, file: save_file({k: v.half() for k, v in state.items()}, file),
        SAFETENSORS,
    )
    read = read_spectrogram_folder(made).decoder.state_dict()["spec_out.weight"]
    assert read.dtype == torch.float32
    assert torch.equal(read, torch.from_numpy(layout_state(DECODER)["spec_out.weight"]).half().float())


def test_a_model_outlives_the_files_it_was_read_from(folder):
    parts = read_spectrogram_folder(folder)
    file = folder / DECODER / PICKLE
    file.write_bytes(bytes(file.stat().st_size))
    shutil.rmtree(folder)
    assert_golden(parts)


def test_no_random_number_is_drawn(folder):
    before = torch.get_rng_state()
    read_spectrogram_folder(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_partial_contexts_are_placed_as_trained_unless_the_file_says_otherwise(folder):
    encoder = read_spectrogram_folder(folder).continuous_encoder
    assert encoder is not None
    assert encoder.config["terminal_relative"] is True
    change(folder, CONTEXT, terminal_relative=False)
    encoder = read_spectrogram_folder(folder).continuous_encoder
    assert encoder is not None
    assert encoder.config["terminal_relative"] is False


def test_what_was_written_is_what_was_read(folder, tmp_path):
    write_spectrogram_folder(read_spectrogram_folder(folder), tmp_path / "written")
    for part, config in CONFIGS.items():
        written = json.loads((tmp_path / "written" / part / "config.json").read_text())
        assert {name: value for name, value in written.items() if name[0] != "_"} == config
        state = load_file(tmp_path / "written" / part / SAFETENSORS)
        assert sorted(state) == sorted(layout_state(part))
        for name, value in layout_state(part).items():
            assert torch.equal(state[name], torch.from_numpy(value))
    assert (tmp_path / "written" / "melgan" / "model.onnx").read_bytes() == b"a vocoder"
    again = read_spectrogram_folder(tmp_path / "written")
    assert again.scheduler == {**PUBLIC_SCHEDULER, "steps_offset": 0}
    assert_golden(again)


def test_contexts_counted_from_the_first_frame_stay_so(folder, tmp_path):
    change(folder, CONTEXT, terminal_relative=False)
    write_spectrogram_folder(read_spectrogram_folder(folder), tmp_path / "written")
    encoder = read_spectrogram_folder(tmp_path / "written").continuous_encoder
    assert encoder is not None
    assert encoder.config["terminal_relative"] is False


def test_diffusers_reads_the_written_decoder_and_says_the_same(folder, tmp_path):
    parts = read_spectrogram_folder(folder)
    write_spectrogram_folder(parts, tmp_path / "written")
    theirs = T5FilmDecoder.from_pretrained(
        str(tmp_path / "written"), subfolder=DECODER, low_cpu_mem_usage=False
    )
    assert theirs.config["max_decoder_noise_time"] == 20000
    draw = torch.Generator().manual_seed(0)
    heard, noisy = torch.randn(2, 1, 20, 32, generator=draw), torch.randn(1, 16, 128, generator=draw)
    masks = torch.rand(2, 1, 20, generator=draw) < 0.6
    with torch.no_grad():
        wanted = theirs([(heard[0], masks[0]), (heard[1], masks[1])], noisy, torch.tensor([0.25]))
        memory = parts.decoder.memory(heard.flatten(0, 1).reshape(1, 40, 32), masks.reshape(1, 40))
        made = parts.decoder(noisy, torch.tensor([0.25]), memory)
    assert wanted.abs().mean() > 0.5
    torch.testing.assert_close(made, wanted, atol=5e-6, rtol=0)


def test_the_written_index_names_classes_that_diffusers_has(folder, tmp_path):
    write_spectrogram_folder(read_spectrogram_folder(folder), tmp_path / "written")
    index = json.loads((tmp_path / "written" / "model_index.json").read_text())
    entries = {name: entry for name, entry in index.items() if name[0] != "_"}
    assert set(entries) == {NOTES, CONTEXT, DECODER, "scheduler", "melgan"}
    assert entries[DECODER] == ["diffusers", "T5FilmDecoder"]
    for part in (NOTES, CONTEXT):
        # The module itself needs transformers; diffusers finds its base class by this name, and it has to be there.
        module = importlib.util.find_spec("diffusers")
        assert module is not None
        assert module.origin is not None
        source = Path(module.origin).parent.parent.joinpath(*entries[part][0].split(".")).with_suffix(".py")
        assert f"class {entries[part][1]}(ModelMixin" in source.read_text()


def test_a_part_that_is_missing_is_written_as_none(tmp_path):
    made = write_layout(tmp_path / "a", save_file, SAFETENSORS, parts=(NOTES, DECODER))
    write_spectrogram_folder(read_spectrogram_folder(made), tmp_path / "written")
    index = json.loads((tmp_path / "written" / "model_index.json").read_text())
    assert index[CONTEXT] == index["melgan"] == [None, None]
    assert read_spectrogram_folder(tmp_path / "written").continuous_encoder is None


def test_nothing_is_written_over(folder):
    with pytest.raises(UserError, match="already exists"):
        write_spectrogram_folder(read_spectrogram_folder(folder), folder)


def test_the_layout_is_told_from_our_own(folder, tmp_path):
    assert is_spectrogram_folder(folder)
    index = {NOTES: ["ondes.models.spectrogram_diffusion", "NotesEncoder"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    assert not is_spectrogram_folder(folder)
    (folder / "model_index.json").unlink()
    assert is_spectrogram_folder(folder)
    shutil.rmtree(folder / NOTES)
    assert is_spectrogram_folder(folder)
    assert not is_spectrogram_folder(tmp_path)


def test_an_index_that_names_a_missing_context_encoder_is_refused(folder):
    shutil.rmtree(folder / CONTEXT)
    assert read_spectrogram_folder(folder).continuous_encoder is None
    index = {NOTES: ["x", "SpectrogramNotesEncoder"], CONTEXT: [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index))
    assert read_spectrogram_folder(folder).continuous_encoder is None
    index[CONTEXT] = ["x", "SpectrogramContEncoder"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="has no folder continuous_encoder, which its model_index"):
        read_spectrogram_folder(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: shutil.rmtree(f / NOTES), "notes_encoder has no config.json; give a whole model"),
        (
            lambda f: (f / DECODER / PICKLE).unlink(),
            "decoder has neither diffusion_pytorch_model.safetensors nor",
        ),
        (
            lambda f: (f / DECODER / PICKLE).write_bytes(b"no"),
            r"cannot be read as weights \(.*\); fetch it again",
        ),
        (
            lambda f: (f / DECODER / SAFETENSORS).write_bytes(b"no"),
            r"cannot be read as weights \(.*\); fetch",
        ),
        (lambda f: torch.save([1, 2], f / DECODER / PICKLE), "holds no named tensors"),
        (
            lambda f: torch.save({"a": Path()}, f / DECODER / PICKLE),
            r"refused: its pickle needs pathlib\.PosixPath",
        ),
        (lambda f: (f / DECODER / "config.json").write_text("[1]"), "holds a list; an object"),
        (lambda f: (f / DECODER / "config.json").write_text("{"), "is not JSON"),
        (
            lambda f: change(f, NOTES, d_ff=65),
            r"wi_0.weight is \(64, 32\), but its settings ask for \(65, 32\)",
        ),
        (
            lambda f: change(f, NOTES, num_layers=3),
            r"lacks the tensor encoders\.2\..* \(16, 32\); fetch it again",
        ),
        (
            lambda f: change(f, NOTES, num_layers=1),
            r"has the tensor encoders\.1\..*, of which the network knows",
        ),
        (lambda f: change(f, NOTES, num_layers=10**9), "num_layers is 1000000000, but must be from 0 to 256"),
        (lambda f: change(f, NOTES, d_model=-1), "d_model is -1, but must be from 0"),
        (lambda f: change(f, NOTES, d_model="wide"), "its settings describe no network"),
        (
            lambda f: (f / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "eps"}'),
            "scheduler_config.json: prediction_type is 'eps', but must be one of epsilon, sample, v_prediction",
        ),
        (lambda f: change(f, NOTES, feed_forward_proj="relu"), "describe no network .*'relu'"),
        (
            lambda f: (shutil.rmtree(f), f.mkdir()),
            "no Spectrogram Diffusion model: it has no folders notes_encoder",
        ),
        (shutil.rmtree, "there is no folder .*; give one in the layout of google/"),
    ],
)
def test_each_kind_of_bad_folder_is_one_line(folder, damage, words):
    damage(folder)
    with pytest.raises(UserError, match=words) as refused:
        read_spectrogram_folder(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.full((128, 32), float("nan")), "spec_out.weight is not finite"),
        (torch.ones(128, 32).int(), "int32, but"),
    ],
)
def test_values_that_are_no_weights_are_refused(folder, value, words):
    file = folder / DECODER / PICKLE
    torch.save(torch.load(file) | {"spec_out.weight": value}, file)
    with pytest.raises(UserError, match=words):
        read_spectrogram_folder(folder)


def test_networks_of_two_models_are_refused(folder):
    shutil.rmtree(folder / CONTEXT)
    (folder / CONTEXT).mkdir()
    narrow = reader.KINDS[CONTEXT](d_model=16, num_layers=1, num_heads=1, d_kv=8, d_ff=8)
    save_file(narrow.state_dict(), folder / CONTEXT / SAFETENSORS)
    settings = {key: value for key, value in narrow.config.items() if key[0] != "_"}
    (folder / CONTEXT / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="d_model is notes_encoder 32, continuous_encoder 16, decoder 32"):
        read_spectrogram_folder(folder)


def test_a_hub_id_fetches_each_network_in_one_form_only(folder, monkeypatch):
    state = torch.load(folder / NOTES / PICKLE)
    save_file(state, folder / NOTES / SAFETENSORS)
    asked = []

    def fetch(hub_id: str, *, allow_patterns: list[str]) -> str:
        asked.append((hub_id, {name for name in allow_patterns if "diffusion_pytorch_model" in name}))
        return os.fspath(folder)

    monkeypatch.setattr(reader, "snapshot_download", fetch)
    assert_golden(read_spectrogram_folder("google/music-spectrogram-diffusion"))
    hub_id = "google/music-spectrogram-diffusion"
    assert asked == [
        (hub_id, {f"{part}/{SAFETENSORS}" for part in (NOTES, CONTEXT, DECODER)}),
        (hub_id, {f"{part}/{PICKLE}" for part in (CONTEXT, DECODER)}),
    ]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    def fail(hub_id: str, **_: Any) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(reader, "snapshot_download", fail)
    with pytest.raises(UserError, match=r"^a/b cannot be fetched from the Hub \(no route\); check the name"):
        read_spectrogram_folder("a/b")
