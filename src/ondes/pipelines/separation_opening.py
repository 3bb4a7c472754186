"""Which pipeline separates with a model."""

from __future__ import annotations

from pathlib import Path

from ondes.models.trans_unet import TransUNet
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.stored import class_name

AnySeparator = SeparationPipeline | Mixture2MusicPipeline


def open_separator(name: str | Path) -> AnySeparator:
    """A model of any kind that gives notes their parts.

    Args:
        name: A bundled name, a folder, or a Hub id of a `SeparationPipeline`; a folder of Mixture2Music; or the folder
            `model` of a run that trained either.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    published = class_name(name) in (Mixture2MusicPipeline.__name__, TransUNet.__name__)
    return (Mixture2MusicPipeline if published else SeparationPipeline).from_pretrained(name)
