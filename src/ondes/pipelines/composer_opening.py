"""Which pipeline composes with a model."""

from __future__ import annotations

from pathlib import Path

from ondes.models.dmc_unet import DmcUNet
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.dmc import DmcPipeline
from ondes.pipelines.stored import class_name

AnyComposer = ComposerPipeline | DmcPipeline


def open_composer(name: str | Path) -> AnyComposer:
    """A model of any kind that writes scores.

    Args:
        name: A bundled name, a folder, or a Hub id of a `ComposerPipeline`; a folder of the published composer; or the
            folder `model` of a run that trained any of them.

    Raises:
        UserError: If there is no such model, or its weights are damaged or do not fit.
    """
    published = class_name(name) in (DmcPipeline.__name__, DmcUNet.__name__)
    return (DmcPipeline if published else ComposerPipeline).from_pretrained(name)
