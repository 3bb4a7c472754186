"""Reads and writes Spectrogram Diffusion models in the layout of `google/music-spectrogram-diffusion`.

A folder for each network with `config.json` and weights, `scheduler/scheduler_config.json`, `melgan/model.onnx`.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import diffusers
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ondes.checkpoints.restricted_pickle import read_torch
from ondes.checkpoints.spectrogram_parts import (
    CONTEXT,
    DECODER,
    KINDS,
    NOTES,
    PLACING,
    PUBLIC_SCHEDULER,
    PartWeights,
    SpectrogramParts,
    build_parts,
)
from ondes.errors import UserError
from ondes.files import file_sha256, folder_written_whole

PUBLIC = "google/music-spectrogram-diffusion"
"""Hub id of the published model."""

INDEX, CONFIG = "model_index.json", "config.json"
SAFETENSORS, PICKLE = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"
SCHEDULER = "scheduler/scheduler_config.json"
MELGAN = "melgan/model.onnx"

PREDICTIONS = ("epsilon", "sample", "v_prediction")
"""What a network may answer with, in the words of diffusers."""

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

CLASSES = {
    NOTES: ("notes_encoder", "SpectrogramNotesEncoder"),
    CONTEXT: ("continuous_encoder", "SpectrogramContEncoder"),
}
"""Modules and classes of the encoders in diffusers' deprecated pipeline."""

OWN_CLASSES = (*(kind.__name__ for kind in KINDS.values()), "PortDiffusion")
"""Classes of networks that our own pipeline saves."""

DEPRECATED = "diffusers.pipelines.deprecated.spectrogram_diffusion"


def is_spectrogram_folder(folder: Path) -> bool:
    """Whether a folder is in the published layout, perhaps not whole, and not one that our own pipeline saved."""
    if not (folder / INDEX).is_file():
        return any((folder / part).is_dir() for part in (NOTES, DECODER)) and not _networks_are_ours(folder)
    index = read_json(folder / INDEX)
    if NOTES not in index:
        return all((folder / part / CONFIG).is_file() for part in (NOTES, DECODER))
    entry = index[NOTES]
    return isinstance(entry, list) and entry[-1:] == [CLASSES[NOTES][1]]


def _networks_are_ours(folder: Path) -> bool:
    """Whether our pipeline saved the networks of a folder, whose index alone says which tokens they read."""
    files = [folder / part / CONFIG for part in KINDS if (folder / part / CONFIG).is_file()]
    return any(read_json(file).get("_class_name") in OWN_CLASSES for file in files)


def fetch_spectrogram_folder(hub_id: str) -> Path:
    """The local copy of a model on the Hub; of its weights only one form is fetched, safetensors where there are.

    Raises:
        UserError: If there is no such model, or no network.
    """
    names = [INDEX, SCHEDULER, MELGAN, *(f"{part}/{CONFIG}" for part in KINDS)]
    try:
        safe = [f"{part}/{SAFETENSORS}" for part in KINDS]
        folder = Path(snapshot_download(hub_id, allow_patterns=[*names, *safe]))
        lacking = [f"{part}/{PICKLE}" for part in KINDS if not (folder / part / SAFETENSORS).is_file()]
        return Path(snapshot_download(hub_id, allow_patterns=[*names, *lacking])) if lacking else folder
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{hub_id} cannot be fetched from the Hub ({reason}); check the name and the network, or give a folder"
        ) from error


def read_spectrogram_folder(place: Path | str) -> SpectrogramParts:
    """A model in the published layout.

    Configuration keys that our networks do not have are ignored. Where `max_decoder_noise_time` is missing it is
    20000, the value of all published weights, not the 2000 of diffusers' class. Partial contexts are placed as the
    weights were trained, unless the configuration of the context encoder says `"terminal_relative": false`.

    Args:
        place: A folder, or the id of a model on the Hub, for which alone the network is reached.

    Raises:
        UserError: If it is no such model, a file is missing or damaged, or weights and settings differ.
    """
    folder = _locate(place)
    weights, hashes = {}, {}
    for part in KINDS:
        if part == CONTEXT and not (folder / part).is_dir():
            _check_unnamed(folder, part)
            continue
        weights[part] = read_part(folder / part)
        file = weights[part].source
        hashes[file.relative_to(folder).as_posix()] = file_sha256(file)
    melgan = folder / MELGAN
    if melgan.is_file():
        hashes[MELGAN] = file_sha256(melgan)
    return build_parts(
        weights,
        hashes=hashes,
        scheduler=read_scheduler(folder),
        melgan=melgan if melgan.is_file() else None,
    )


def _check_unnamed(folder: Path, part: str) -> None:
    """Refuse a model whose index names a network that is not there: it would play, but otherwise than it should.

    Raises:
        UserError: If it does.
    """
    entry = read_json(folder / INDEX).get(part) if (folder / INDEX).is_file() else None
    if isinstance(entry, list) and any(entry):
        raise UserError(f"{folder} has no folder {part}, which its {INDEX} names; fetch the model again")


def _locate(place: Path | str) -> Path:
    """The folder of a model, fetched where it is named by its id.

    Raises:
        UserError: If it is neither a folder with the parts of a model nor like an id.
    """
    folder = Path(place)
    if not folder.is_dir():
        if isinstance(place, str) and HUB_ID.fullmatch(place):
            folder = fetch_spectrogram_folder(place)
        else:
            raise UserError(f"there is no folder {place}; give one in the layout of {PUBLIC}, or a Hub id")
    if not any((folder / part).is_dir() for part in KINDS):
        raise UserError(
            f"{place} is no Spectrogram Diffusion model: it has no folders {', '.join(KINDS)}; give one in the layout "
            f"of {PUBLIC}"
        )
    return folder


def read_part(folder: Path) -> PartWeights:
    """Settings and tensors of one network.

    Raises:
        UserError: If the folder, its configuration or its weights are missing or damaged.
    """
    config = PLACING.get(folder.name, {}) | read_json(folder / CONFIG)
    for name in (SAFETENSORS, PICKLE):
        if (folder / name).is_file():
            return PartWeights(config, read_tensors(folder / name), folder / name)
    raise UserError(f"{folder} has neither {SAFETENSORS} nor {PICKLE}; fetch the model again")


def read_json(file: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        UserError: If there is none, or it is not a JSON object.
    """
    if not file.is_file():
        raise UserError(f"{file.parent} has no {file.name}; give a whole model, as {PUBLIC} is")
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__}; an object with named settings is needed")
    return content


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors by name, from safetensors or a pickle of which nothing but tensors is taken.

    Raises:
        UserError: If the file is damaged or holds anything else.
    """
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} cannot be read as weights ({error}); fetch it again") from error
    state = read_torch(file)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} holds no named tensors; give the weights of one network")
    return dict(state)


def read_scheduler(folder: Path) -> dict[str, Any]:
    """Settings of the scheduler, with its class; the published ones where the folder has none.

    Raises:
        UserError: If they cannot be read, or name a prediction that there is not.
    """
    file = folder / SCHEDULER
    if not file.is_file():
        return dict(PUBLIC_SCHEDULER)
    config = read_json(file)
    prediction = config.get("prediction_type", PREDICTIONS[0])
    if prediction not in PREDICTIONS:
        raise UserError(
            f"{file}: prediction_type is {prediction!r}, but must be one of {', '.join(PREDICTIONS)}; fetch it again"
        )
    return {
        name: value for name, value in config.items() if name == "_class_name" or not name.startswith("_")
    }


def write_spectrogram_folder(parts: SpectrogramParts, folder: Path) -> None:
    """Write a model in the published layout, weights as safetensors.

    Who reads it: `read_spectrogram_folder`; each network by itself the `from_pretrained` of its diffusers class, in
    every version; the whole folder `diffusers.DiffusionPipeline.from_pretrained` of diffusers 0.25 or later, in an
    environment where its deprecated pipeline works at all: with note-seq, onnxruntime if there is a vocoder, and a
    version of transformers before 5.17. Its `model_index.json` names the modules of the encoders in full, because
    the names that were published, and those that diffusers writes itself, lead nowhere since the pipeline moved.
    diffusers has no pipeline without context: a model without context loads there only network by network.

    Args:
        parts: The model.
        folder: Where to; it appears when everything is written.

    Raises:
        UserError: If the folder exists.
    """
    version = {"_diffusers_version": diffusers.__version__}
    networks = {NOTES: parts.notes_encoder, CONTEXT: parts.continuous_encoder, DECODER: parts.decoder}
    index: dict[str, Any] = {"_class_name": "SpectrogramDiffusionPipeline", **version}
    with folder_written_whole(folder) as beside:
        for part, network in networks.items():
            index[part] = [None, None]
            if network is None:
                continue
            module, name = CLASSES.get(part, ("", "T5FilmDecoder"))
            index[part] = [f"{DEPRECATED}.{module}" if module else "diffusers", name]
            settings = {key: value for key, value in network.config.items() if not key.startswith("_")}
            # What readers take for granted is not written.
            settings = {
                key: value for key, value in settings.items() if PLACING.get(part, {}).get(key) != value
            }
            write_json(beside / part / CONFIG, {"_class_name": name, **version, **settings})
            state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
            save_file(state, beside / part / SAFETENSORS, {"format": "pt"})
        write_json(beside / SCHEDULER, parts.scheduler | version)
        index["scheduler"] = [
            "diffusers",
            parts.scheduler.get("_class_name", PUBLIC_SCHEDULER["_class_name"]),
        ]
        index["melgan"] = [None, None]
        if parts.melgan is not None:
            index["melgan"] = ["diffusers", "OnnxRuntimeModel"]
            (beside / MELGAN).parent.mkdir()
            shutil.copyfile(parts.melgan, beside / MELGAN)
        write_json(beside / INDEX, index)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write settings, sorted by name as diffusers does; the folder is made."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
