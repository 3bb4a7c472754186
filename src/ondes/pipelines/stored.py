"""What every pipeline has in common: saved with checksums, told apart by a hash of all that decides its music."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from torch import nn

from ondes.checkpoints.spectrogram_folder import INDEX, read_json
from ondes.errors import UserError
from ondes.pipelines.bundled import resolve, verify_names, verify_saved, write_checksums
from ondes.pipelines.loading import LOADING_ERRORS, quiet_loading, reason, weights_hash

CONFIG = "config.json"
"""File that makes a folder a saved network."""


class StoredPipeline(DiffusionPipeline):
    """A pipeline of diffusers whose saved weights can be checked, and whose model can be named in a record."""

    def save_pretrained(self, save_directory: str | Path, **settings: Any) -> None:
        """Save everything as JSON and safetensors, with checksums of the weights."""
        super().save_pretrained(str(save_directory), **settings)
        write_checksums(Path(save_directory))

    @classmethod
    def _opened(
        cls,
        name: str | Path,
        *,
        kind: str,
        network: type[ModelMixin],
        around: Callable[[Any], Any],
        settings: dict[str, Any],
    ) -> Any:
        """A saved pipeline, or one around a network that a run saved alone; its weights are those that were saved.

        Args:
            name: A bundled name, a folder, or the id of a model on the Hub, which alone reaches the network.
            kind: Which bundled models are meant.
            network: What a folder without a pipeline must hold.
            around: The pipeline of such a network.
            settings: As of diffusers' `from_pretrained`.

        Raises:
            UserError: If there is no such model, it is another one, or its weights are damaged or do not fit.
        """
        folder = Path(name)
        bare = (folder / CONFIG).is_file() and not (folder / INDEX).is_file()
        config, wanted = (CONFIG, network) if bare else (INDEX, cls)
        place = resolve(name, kind=kind, config=config)
        if isinstance(place, Path):
            made = read_json(place / config).get("_class_name")
            if made != wanted.__name__:
                raise UserError(f"{name} holds a {made}, not a {wanted.__name__}; give another {kind}")
            verify_saved(place, given=settings)
        chosen = {"low_cpu_mem_usage": False, "use_safetensors": True, **settings}
        try:
            with quiet_loading():
                if bare:
                    pipeline = around(network.from_pretrained(str(place), **chosen))
                else:
                    pipeline = super().from_pretrained(str(place), **chosen)
        except LOADING_ERRORS as error:
            raise UserError(f"{name} cannot be loaded as a {kind}: {reason(error)}") from error
        for component, module in pipeline.components.items():
            if isinstance(module, nn.Module) and component not in settings:
                if isinstance(place, Path):
                    verify_names(place if bare else place / component, module.state_dict())
                if not {"dtype", "torch_dtype"} & settings.keys():
                    module.float()  # weights may be stored as halves
        return pipeline

    @property
    def model_hash(self) -> str:
        """SHA-256 over the settings and the names and values of all weights, hexadecimal."""
        # By the order of the constructor, which loading does not change; `vars` holds the modules, not the settings.
        parts = [vars(self).get(name) for name in inspect.signature(type(self).__init__).parameters]
        settings = [
            part.config for part in parts if isinstance(part, ConfigMixin) and not isinstance(part, nn.Module)
        ]
        return weights_hash([self.config, *settings], [part for part in parts if isinstance(part, nn.Module)])


def class_name(name: str | Path) -> str | None:
    """What the folder of a model says that it is; None for a bundled name, a Hub id, and a folder that says nothing.

    Raises:
        UserError: If its settings are damaged.
    """
    files = [Path(name) / file for file in (INDEX, CONFIG) if (Path(name) / file).is_file()]
    return read_json(files[0]).get("_class_name") if files else None
