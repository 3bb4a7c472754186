"""Which pipeline separates with a model."""

from __future__ import annotations

from pathlib import Path

from ondes.checkpoints.spectrogram_folder import INDEX, read_json
from ondes.pipelines.dmc import CONFIG
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.pipelines.separation import SeparationPipeline

AnySeparator = SeparationPipeline | Mixture2MusicPipeline


def open_separator(name: str | Path) -> AnySeparator:
    """A model of any kind that gives notes their parts.

    Args:
        name: A bundled name, a folder, or a Hub id of a `SeparationPipeline`; or the folder `model` of a run that
            trained the network of Mixture2Music.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    folder = Path(name)
    for file, made in ((INDEX, Mixture2MusicPipeline.__name__), (CONFIG, "TransUNet")):
        if (folder / file).is_file() and read_json(folder / file).get("_class_name") == made:
            return Mixture2MusicPipeline.from_pretrained(name)
    return SeparationPipeline.from_pretrained(name)
