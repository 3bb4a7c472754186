"""Configurations in the form of the published program are done as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from msanii_layout import write_msanii
from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.msanii_tasks import TASKS, read_task, run_task
from ondes.representations.msanii_mel import MsaniiSpec, msanii_filters

SPEC = MsaniiSpec(8000, 64, 32, 6)
QUICK = {"num_inference_steps": 2, "num_griffin_lim_iters": 1, "num_frames": 63 * 32}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and a folder with two sounds."""
    folder = tmp_path_factory.mktemp("tasks")
    write_msanii(folder / "msanii.pt", msanii_filters(SPEC).T.contiguous())
    (folder / "sounds").mkdir()
    for number, samples in enumerate((1500, 4000)):
        rng = np.random.default_rng(number)
        sound = rng.uniform(-0.5, 0.5, (2, samples)).astype(np.float32)
        Audio(sound, 8000).write(folder / "sounds" / f"{number}.wav")
    return folder


@pytest.mark.parametrize(
    ("task", "fields", "count", "frames"),
    [
        ("sampling", {"num_samples": 2, "channels": 1}, 2, 64),
        ("audio2audio", {"data_dir": "sounds", "strength": 0.1}, 2, 64),
        ("interpolation", {"first_data_dir": "sounds", "second_data_dir": "sounds", "strength": 0.1}, 2, 64),
        ("inpainting", {"data_dir": "sounds", "masks": ["0.1-0.2", "0-0.1"], "jump_n_sample": 1}, 2, 64),
        ("outpainting", {"data_dir": "sounds", "num_spans": 1, "jump_n_sample": 1}, 2, 96),
    ],
)
def test_every_task_writes_its_files(
    place: Path, tmp_path: Path, task: str, fields: dict[str, Any], count: int, frames: int
) -> None:
    paths = {name: str(place / value) for name, value in fields.items() if name.endswith("_dir")}
    config = (
        QUICK | fields | paths | {"ckpt_path": str(place / "msanii.pt"), "output_dir": str(tmp_path / "out")}
    )
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(config))
    written = run_task(task, tmp_path / "task.yaml")
    assert [file.name for file in written] == [f"{number}.wav" for number in range(count)]
    for file in written:
        audio = Audio.read(file)
        assert audio.samples.shape == (fields.get("channels", 2), SPEC.samples(frames))


def test_fields_and_defaults_are_the_published_ones() -> None:
    fields = read_task("sampling", {"ckpt_path": "a", "output_dir": "b"})
    assert (fields["num_frames"], fields["num_samples"], fields["channels"]) == (8_387_584, 16, 2)
    assert set(TASKS["inpainting"]) - set(TASKS["outpainting"]) == {"masks"}
    assert set(TASKS["outpainting"]) - set(TASKS["inpainting"]) == {"num_spans"}
    assert TASKS["interpolation"]["ratio"] == 0.5


@pytest.mark.parametrize(
    ("task", "config", "words"),
    [
        ("painting", {}, "no task 'painting': did you mean 'outpainting'|'inpainting'"),
        ("sampling", {"num_sample": 3}, "no field 'num_sample': did you mean 'num_samples'"),
        ("sampling", {"output_dir": "b"}, "needs ckpt_path; write"),
        ("inpainting", {"ckpt_path": "a", "output_dir": "b", "data_dir": "???"}, "needs data_dir, masks"),
        (
            "sampling",
            {"ckpt_path": "a", "output_dir": "b", "output_audio_format": "aif"},
            "no output_audio_format",
        ),
    ],
)
def test_wrong_configurations_are_refused_in_one_line(task: str, config: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_task(task, config)


def test_files_that_are_no_configuration_are_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "text.yaml").write_text("only words")
    with pytest.raises(UserError, match="holds no fields"):
        read_task("sampling", tmp_path / "text.yaml")
    with pytest.raises(UserError, match="cannot be read as YAML"):
        read_task("sampling", tmp_path / "none.yaml")
    config = {"ckpt_path": str(place / "msanii.pt"), "output_dir": str(tmp_path), "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="holds no audio"):
        run_task("audio2audio", config)
