"""Puts trained models into the package: `python -m ondes.training.bundle`.

Matrices are stored as bfloat16, those of composers and separators as float16, half the size; everything else, the
statistics of the features among it, stays float32. Loading gives float32 again.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin

from ondes.diffusion.masked import MaskedScheduler
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.note_denoiser import NoteDenoiser
from ondes.models.part_labeller import PartLabeller
from ondes.models.vocoder import Vocoder
from ondes.pipelines.bundled import WEIGHTS, write_checksums
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.samplers import make_scheduler
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.training.calibration import calibrate
from ondes.training.composer import load_network


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


def bundle_vocoder(
    kind: type[Vocoder] | type[FramedVocoder], trained: Path, folder: Path, card: dict[str, Any]
) -> None:
    """Put a trained vocoder into a folder of the package."""
    model = kind.from_pretrained(trained, low_cpu_mem_usage=False)
    parameters = halve(model)
    model.save_pretrained(folder)
    forget_origin(folder / "config.json")
    write_checksums(folder)
    write_card(folder, {"kind": "vocoder", "parameters": parameters, **card})


def bundle_synthesiser(
    trained: Path, folder: Path, card: dict[str, Any], *, sampler: str, **settings: Any
) -> None:
    """Put a trained denoiser into a folder of the package; its vocoder is bundled by itself."""
    model = NoteDenoiser.from_pretrained(trained, low_cpu_mem_usage=False)
    parameters = halve(model)
    vocoder = Vocoder(width=8, hidden=8, blocks=1)
    SynthesisPipeline(model, vocoder, make_scheduler(sampler), **settings).save_pretrained(folder)
    shutil.rmtree(folder / "vocoder")
    forget_origin(folder / "denoiser" / "config.json")
    write_checksums(folder)
    write_card(folder, {"kind": "synthesiser", "parameters": parameters, **card})


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


def main() -> None:
    """Bundle what the options name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--denoiser", type=Path, help="model folder of a run of 'ondes train synth'")
    parser.add_argument("--vocoder", type=Path, help="model folder of a run of 'ondes train vocoder'")
    parser.add_argument(
        "--framed-vocoder", type=Path, help="the same of one at 16 kHz (configs/vocoder_16k_small.yaml)"
    )
    parser.add_argument("--sampler", default="euler", help="sampler of the saved pipeline")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="default temperature of the saved pipeline"
    )
    parser.add_argument(
        "--gain-db", type=float, default=0.0, help="loudness correction of the saved pipeline"
    )
    parser.add_argument("--synth-card", type=Path, help="JSON to put on the synthesiser's card")
    parser.add_argument("--vocoder-card", type=Path, help="JSON to put on the vocoder's card")
    parser.add_argument("--framed-vocoder-card", type=Path, help="JSON to put on the 16 kHz vocoder's card")
    parser.add_argument(
        "--composer", type=Path, help="model folder of a run of 'ondes train compose', or a saved pipeline"
    )
    parser.add_argument("--composer-card", type=Path, help="JSON to put on the composer's card")
    parser.add_argument(
        "--composer-settings",
        type=json.loads,
        default={},
        help="JSON of the saved pipeline's settings, 'scheduler' with those of its scheduler",
    )
    parser.add_argument("--separator", type=Path, help="model folder of a run of 'ondes train separate'")
    parser.add_argument("--classifier", type=Path, help="the same of one with the objective 'classifier'")
    parser.add_argument("--separator-card", type=Path, help="JSON to put on the separator's card")
    parser.add_argument(
        "--separator-settings", type=json.loads, default={}, help="JSON of the saved pipeline's settings"
    )
    parser.add_argument(
        "--separator-validation", type=Path, help="note cache on which the separator is calibrated"
    )
    choice = parser.parse_args()
    if choice.separator:
        card = json.loads(choice.separator_card.read_text())
        bundle_separator(
            choice.separator,
            WEIGHTS / "separate-small",
            card,
            classifier=choice.classifier,
            validation=choice.separator_validation,
            **choice.separator_settings,
        )
    if choice.composer:
        card = json.loads(choice.composer_card.read_text())
        bundle_composer(choice.composer, WEIGHTS / "compose-small", card, **choice.composer_settings)
    if choice.denoiser:
        card = json.loads(choice.synth_card.read_text())
        settings = {"default_temperature": choice.temperature, "gain_db": choice.gain_db}
        bundle_synthesiser(choice.denoiser, WEIGHTS / "synth-small", card, sampler=choice.sampler, **settings)
    if choice.vocoder:
        card = json.loads(choice.vocoder_card.read_text())
        bundle_vocoder(Vocoder, choice.vocoder, WEIGHTS / "vocoder-small", card)
    if choice.framed_vocoder:
        card = json.loads(choice.framed_vocoder_card.read_text())
        bundle_vocoder(FramedVocoder, choice.framed_vocoder, WEIGHTS / "vocoder-16k-small", card)


if __name__ == "__main__":
    main()
