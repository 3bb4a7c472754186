"""Puts trained models into the package: `python -m ondes.training.bundle`.

Matrices are stored as bfloat16, those of composers, separators and audio models as float16, half the size; everything
else, the statistics of the features among it, stays float32. Loading gives float32 again.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin

from ondes.diffusion.masked import MaskedScheduler
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.mel_unet import MelUNet
from ondes.models.note_denoiser import NoteDenoiser
from ondes.models.part_labeller import PartLabeller
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.bundled import WEIGHTS, write_checksums
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.samplers import make_scheduler
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.training.calibration import calibrate
from ondes.training.composer import load_network

NO_VOCODER = Vocoder(width=8, hidden=8, blocks=1)
"""Stands for the vocoder where a pipeline must have one but none is to be saved."""


def halve(model: ModelMixin, dtype: torch.dtype = torch.bfloat16) -> int:
    """Make numbers of half the size of all matrices, in place; returns the number of weights."""
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            parameter.data = parameter.data.to(dtype)
    return sum(parameter.numel() for parameter in model.parameters())


def forget_origin(config: Path) -> None:
    """Take the folder a model was loaded from out of its saved settings: it is nobody else's business."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2) + "\n")


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """The card of a bundled model, which `ondes models` shows."""
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def bundle_vocoder(trained: Path, folder: Path, card: dict[str, Any]) -> None:
    """Put a trained vocoder, at 44.1 or 16 kHz, into a folder of the package."""
    kind = FramedVocoder if _class_name(trained) == FramedVocoder.__name__ else Vocoder
    model = kind.from_pretrained(trained, low_cpu_mem_usage=False)
    parameters = halve(model)
    model.save_pretrained(folder)
    forget_origin(folder / "config.json")
    write_checksums(folder)
    write_card(folder, {"kind": "vocoder", "parameters": parameters, **card})


def _class_name(folder: Path) -> str:
    return str(json.loads((folder / "config.json").read_text())["_class_name"])


def bundle_synthesiser(
    trained: Path, folder: Path, card: dict[str, Any], *, sampler: str = "euler", **settings: Any
) -> None:
    """Put a trained denoiser into a folder of the package; its vocoder is bundled by itself.

    Args:
        trained: Model folder of a run of `ondes train synth`.
        folder: Of the package.
        card: What to put on the card.
        sampler: Of the saved pipeline.
        settings: Of `SynthesisPipeline`.
    """
    model = NoteDenoiser.from_pretrained(trained, low_cpu_mem_usage=False)
    parameters = halve(model)
    SynthesisPipeline(model, NO_VOCODER, make_scheduler(sampler), **settings).save_pretrained(folder)
    _finish(folder, "denoiser", {"kind": "synthesiser", "parameters": parameters, **card})


def bundle_audio(
    trained: Path, folder: Path, card: dict[str, Any], *, sampler: str = "euler", **settings: Any
) -> None:
    """Put a trained audio model into a folder of the package; its vocoder is bundled by itself.

    Args:
        trained: Model folder of a run of `ondes train audio`.
        folder: Of the package.
        card: What to put on the card.
        sampler: Of the saved pipeline.
        settings: Of `AudioPipeline`.
    """
    model = MelUNet.from_pretrained(trained, low_cpu_mem_usage=False)
    parameters = halve(model, torch.float16)
    AudioPipeline(model, NO_VOCODER, make_scheduler(sampler), **settings).save_pretrained(folder)
    _finish(folder, "network", {"kind": "audio", "parameters": parameters, **card})


def _finish(folder: Path, network: str, card: dict[str, Any]) -> None:
    """Leave the stand-in of the vocoder out, and write checksums and card."""
    shutil.rmtree(folder / "vocoder")
    forget_origin(folder / network / "config.json")
    write_checksums(folder)
    write_card(folder, card)


def bundle_composer(
    trained: Path,
    folder: Path,
    card: dict[str, Any],
    *,
    scheduler: dict[str, Any] | None = None,
    **settings: Any,
) -> None:
    """Put a trained composer into a folder of the package.

    Args:
        trained: A saved pipeline or network.
        folder: Of the package.
        card: What to put on the card.
        scheduler: Settings of `MaskedScheduler`.
        settings: Of `ComposerPipeline`.
    """
    network = load_network(trained)
    parameters = halve(network, torch.float16)
    pipeline = ComposerPipeline(network, MaskedScheduler(**(scheduler or {})), **settings)
    pipeline.save_pretrained(folder)
    forget_origin(folder / "network" / "config.json")
    write_checksums(folder)
    write_card(folder, {"kind": "composer", "parameters": parameters, **card})


def bundle_separator(
    trained: Path,
    folder: Path,
    card: dict[str, Any],
    *,
    classifier: Path | None = None,
    validation: Path | None = None,
    **settings: Any,
) -> None:
    """Put a trained separator into a folder of the package.

    Args:
        trained: Model folder of a run of `ondes train separate`.
        folder: Of the package.
        card: What to put on the card.
        classifier: The same of a run with the objective "classifier".
        validation: Note cache on which the temperatures of both are fitted; those in `settings` where None.
        settings: Of `SeparationPipeline`.
    """
    network = PartLabeller.from_pretrained(trained, low_cpu_mem_usage=False).float().eval()
    if validation is not None:
        steps = inspect.signature(SeparationPipeline).parameters["default_steps"].default
        settings["calibration"] = calibrate(
            network, validation, steps=int(settings.get("default_steps", steps))
        )
    parameters = halve(network, torch.float16)
    control = None
    if classifier is not None:
        control = PartLabeller.from_pretrained(classifier, low_cpu_mem_usage=False).float().eval()
        if validation is not None:
            settings["classifier_calibration"] = calibrate(control, validation, steps=1)
        parameters += halve(control, torch.float16)
    SeparationPipeline(network, control, **settings).save_pretrained(folder)
    for config in sorted(folder.glob("*/config.json")):
        forget_origin(config)
    write_checksums(folder)
    write_card(folder, {"kind": "separator", "parameters": parameters, **card})


KINDS: dict[str, tuple[Callable[..., None], str]] = {
    "synthesiser": (bundle_synthesiser, "synth-small"),
    "vocoder": (bundle_vocoder, "vocoder-small"),
    "vocoder-16k": (bundle_vocoder, "vocoder-16k-small"),
    "composer": (bundle_composer, "compose-small"),
    "separator": (bundle_separator, "separate-small"),
    "audio": (bundle_audio, "audio-small"),
}
"""How each kind of model is put into the package, and what it is called there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Bundle what the words of the command line name."""
    parser = argparse.ArgumentParser(prog="python -m ondes.training.bundle", description=__doc__)
    parser.add_argument("kind", choices=KINDS, help="what it is")
    parser.add_argument("trained", type=Path, help="model folder of a run of 'ondes train'")
    parser.add_argument("--card", type=Path, required=True, help="JSON to put on the model's card")
    parser.add_argument(
        "--settings",
        type=json.loads,
        default={},
        help="JSON of the saved pipeline's settings, such as default_steps, gain_db or sampler",
    )
    parser.add_argument("--classifier", type=Path, help="of separators: a run with that objective")
    parser.add_argument("--validation", type=Path, help="of separators: note cache to calibrate them on")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the bundled models")
    chosen = parser.parse_args(arguments)
    bundle, name = KINDS[chosen.kind]
    more = {key: value for key in ("classifier", "validation") if (value := getattr(chosen, key))}
    card = json.loads(chosen.card.read_text())
    bundle(chosen.trained, chosen.weights / name, card, **chosen.settings, **more)


if __name__ == "__main__":
    main()
