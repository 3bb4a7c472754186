"""Which pipeline plays a model."""

from __future__ import annotations

from pathlib import Path

from ondes.checkpoints.spectrogram_folder import INDEX, PUBLIC, is_spectrogram_folder, read_json
from ondes.pipelines.bundled import resolve
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_loading import hub_index
from ondes.pipelines.synthesis import SynthesisPipeline

Player = SynthesisPipeline | SpectrogramDiffusionPipeline


def open_pipeline(name: str | Path) -> Player:
    """A model of any kind that plays scores.

    Args:
        name: A bundled name, a folder of ours or in the layout of `google/music-spectrogram-diffusion`, or a Hub id.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    return pipeline_class(name).from_pretrained(name)


def pipeline_class(name: str | Path) -> type[Player]:
    """The pipeline that plays a model, as its model_index.json says.

    Raises:
        UserError: If there is no such model.
    """
    if is_spectrogram_folder(Path(name)) or name == PUBLIC:
        return SpectrogramDiffusionPipeline
    place = resolve(name, kind="synthesiser", config=INDEX)
    index = read_json(place / INDEX) if isinstance(place, Path) else hub_index(place)
    spectrograms = index.get("_class_name") == SpectrogramDiffusionPipeline.__name__
    return SpectrogramDiffusionPipeline if spectrograms else SynthesisPipeline
