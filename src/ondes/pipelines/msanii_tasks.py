"""The published program's inference configurations: a task, its YAML file, and the files that it writes."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ondes.audio import FORMATS, Audio
from ondes.checkpoints.msanii import read_msanii
from ondes.errors import UserError, nearest
from ondes.pipelines.msanii import MsaniiPipeline, Progress, make_msanii_scheduler
from ondes.pipelines.msanii_exchange import is_msanii_file

log = logging.getLogger(__name__)

MISSING = "???"
"""What stands for a value that must be given, in the published files."""

SHARED: dict[str, Any] = {
    "ckpt_path": MISSING,
    "output_dir": MISSING,
    "batch_size": 4,
    "num_frames": 8_387_584,
    "duration": None,
    "output_audio_format": "wav",
    "seed": 0,
    "device": "cpu",
    "dtype": "float",
    "num_inference_steps": None,
    "verbose": False,
    "use_neural_vocoder": True,
    "num_griffin_lim_iters": None,
    "_kwargs_": {},
}
LOADING: dict[str, Any] = {"num_workers": 4, "pin_memory": False}
REPAINT: dict[str, Any] = {"eta": 0.0, "jump_length": 10, "jump_n_sample": 10}

TASKS: dict[str, dict[str, Any]] = {
    "sampling": {**SHARED, "channels": 2, "num_samples": 16},
    "audio2audio": {**SHARED, **LOADING, "data_dir": MISSING, "strength": 1.0},
    "interpolation": {
        **SHARED,
        **LOADING,
        "first_data_dir": MISSING,
        "second_data_dir": MISSING,
        "ratio": 0.5,
        "strength": 1.0,
    },
    "inpainting": {**SHARED, **LOADING, **REPAINT, "data_dir": MISSING, "masks": MISSING},
    "outpainting": {**SHARED, **LOADING, **REPAINT, "data_dir": MISSING, "num_spans": 2},
}
"""Fields of each task with their published defaults."""

MEANINGLESS = ("batch_size", "num_workers", "pin_memory", "verbose", "dtype", "_kwargs_")
"""Fields that change nothing here: items do not depend on their batch, and numbers are float32."""


def read_task(task: str, config: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a task.

    Args:
        task: One of `TASKS`.
        config: A YAML file, or what one says.

    Raises:
        UserError: If there is no such task or field, or one that must be given is missing.
    """
    if task not in TASKS:
        raise UserError(f"Msanii has no task {task!r}: {nearest(task, TASKS)}")
    given = config if isinstance(config, Mapping) else _read_yaml(Path(config))
    for name in given:
        if name not in TASKS[task]:
            raise UserError(f"the task {task} has no field {name!r}: {nearest(str(name), TASKS[task])}")
    fields = TASKS[task] | dict(given)
    missing = [name for name, value in fields.items() if value == MISSING]
    if missing:
        raise UserError(f"the task {task} needs {', '.join(missing)}; write them into its configuration")
    if f".{fields['output_audio_format']}" not in FORMATS:
        raise UserError(
            f"there is no output_audio_format {fields['output_audio_format']!r}: "
            f"{nearest(str(fields['output_audio_format']), [suffix[1:] for suffix in FORMATS])}"
        )
    return fields


def run_task(
    task: str,
    config: str | Path | Mapping[str, Any],
    *,
    compat: bool = True,
    progress: Progress | None = None,
) -> list[Path]:
    """Do what a published configuration says, and write `<output_dir>/<number>.<format>`.

    Files of a folder are taken in order of their names, and the masks of `inpainting` in that order. A seed makes other
    music than the published program, which draws Griffin-Lim's phases and RePaint's noise from nowhere.

    Args:
        task: One of `TASKS`.
        config: A YAML file, or what one says; `ckpt_path` is `msanii.pt`, or a folder that `ondes import` made.
        compat: As of `MsaniiPipeline`.
        progress: As of `MsaniiPipeline`.

    Returns:
        The files.

    Raises:
        UserError: As of `read_task`, of the importer and of the pipeline.
    """
    fields = read_task(task, config)
    changed = [name for name in MEANINGLESS if name in fields and fields[name] != TASKS[task][name]]
    if changed:
        log.info("%s: without meaning here", ", ".join(changed))
    pipeline = _open(str(fields["ckpt_path"]), compat=compat).to(fields["device"])
    settings = {
        "seed": int(fields["seed"]),
        "steps": fields["num_inference_steps"],
        "use_vocoder": bool(fields["use_neural_vocoder"]),
        "griffin_lim_iterations": fields["num_griffin_lim_iters"],
        "progress": progress,
    }
    folder = Path(str(fields["output_dir"]))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, audio in enumerate(_made(task, pipeline, fields, settings)):
        path = folder / f"{number}.{fields['output_audio_format']}"
        audio.write(path, encoding="float" if path.suffix == ".wav" else None)
        written.append(path)
    return written


def _made(
    task: str, pipeline: MsaniiPipeline, fields: dict[str, Any], settings: dict[str, Any]
) -> list[Audio]:
    """The results of a task."""
    rate = pipeline.sample_rate_hz
    length_s = fields["num_frames"] / rate if fields["duration"] is None else float(fields["duration"])

    def sounds(name: str) -> list[Audio]:
        return [_of_length(file, rate, length_s) for file in _files(Path(str(fields[name])))]

    if task == "sampling":
        sizes = {"duration_s": length_s, "channels": int(fields["channels"])}
        return pipeline.sample(int(fields["num_samples"]), **sizes, **settings)
    if task == "audio2audio":
        return pipeline.audio_to_audio(sounds("data_dir"), strength=float(fields["strength"]), **settings)
    if task == "interpolation":
        first, second = sounds("first_data_dir"), sounds("second_data_dir")
        places = {"ratio": float(fields["ratio"]), "strength": float(fields["strength"])}
        return pipeline.interpolate(first, second, **places, **settings)
    settings |= {name: fields[name] for name in REPAINT}
    if task == "inpainting":
        return pipeline.inpaint(sounds("data_dir"), list(fields["masks"]), **settings)
    return pipeline.outpaint(sounds("data_dir"), num_spans=int(fields["num_spans"]), **settings)


def _open(name: str, *, compat: bool) -> MsaniiPipeline:
    """A pipeline of a checkpoint or of a folder."""
    if not is_msanii_file(name):
        return MsaniiPipeline.from_pretrained(name, compat=compat)
    parts = read_msanii(Path(name))
    return MsaniiPipeline(
        parts.unet,
        parts.vocoder,
        make_msanii_scheduler(**parts.scheduler),
        compat=compat,
        griffin_lim_iterations=parts.griffin_lim["iterations"],
        griffin_lim_momentum=parts.griffin_lim["momentum"],
    )


def _files(folder: Path) -> list[Path]:
    """Audio files of a folder, by name.

    Raises:
        UserError: If there is none.
    """
    found = sorted(file for file in folder.glob("*") if file.suffix.lower() in FORMATS)
    if not found:
        raise UserError(f"{folder} holds no audio ({', '.join(FORMATS)}); give another folder")
    return found


def _of_length(file: Path, rate_hz: int, length_s: float) -> Audio:
    """A file at a rate, cut to a length or followed by silence, as published."""
    audio = Audio.read(file).resample(rate_hz)
    missing = round(length_s * rate_hz) - audio.samples.shape[1]
    if missing > 0:
        silence = Audio.silence(missing / rate_hz, sample_rate_hz=rate_hz, channels=audio.channels)
        return Audio.concatenate([audio, silence])
    return Audio(audio.samples[:, : round(length_s * rate_hz)], rate_hz)


def _read_yaml(file: Path) -> dict[str, Any]:
    """What a YAML file says.

    Raises:
        UserError: If it cannot be read, or PyYAML is missing.
    """
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError:
        raise UserError(
            "YAML files need PyYAML, which is not installed; run: pip install 'ondes[train]'"
        ) from None
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file} cannot be read as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(said, dict):
        raise UserError(f"{file} holds no fields; write 'name: value' lines into it")
    return said
