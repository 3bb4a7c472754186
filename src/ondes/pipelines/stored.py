"""What every pipeline has in common: saved with checksums, told apart by a hash of all that decides its music."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from diffusers.configuration_utils import ConfigMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from torch import nn

from ondes.pipelines.bundled import write_checksums
from ondes.pipelines.loading import weights_hash


class StoredPipeline(DiffusionPipeline):
    """A pipeline of diffusers whose saved weights can be checked, and whose model can be named in a record."""

    def save_pretrained(self, save_directory: str | Path, **settings: Any) -> None:
        """Save everything as JSON and safetensors, with checksums of the weights."""
        super().save_pretrained(str(save_directory), **settings)
        write_checksums(Path(save_directory))

    @property
    def model_hash(self) -> str:
        """SHA-256 over the settings and the names and values of all weights, hexadecimal."""
        # By the order of the constructor, which loading does not change; `vars` holds the modules, not the settings.
        parts = [vars(self).get(name) for name in inspect.signature(type(self).__init__).parameters]
        settings = [
            part.config for part in parts if isinstance(part, ConfigMixin) and not isinstance(part, nn.Module)
        ]
        return weights_hash([self.config, *settings], [part for part in parts if isinstance(part, nn.Module)])
