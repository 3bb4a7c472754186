"""Checkpoints of Mixture2Music become a model of ours."""

from __future__ import annotations

import json
from pathlib import Path

from ondes.checkpoints.mixture2music import is_mixture2music, read_mixture2music
from ondes.files import folder_written_whole
from ondes.pipelines.dmc_exchange import SOURCE
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.pipelines.roll_samplers import make_roll_scheduler

__all__ = ["LAYOUT", "import_mixture2music", "is_mixture2music"]

LAYOUT = "mixture2music"


def import_mixture2music(source: Path, folder: Path, decoder: Path | None = None) -> None:
    """Write checkpoints as a model that separates, with `source.json` that says where it came from.

    The model keeps what its weights were trained with: the scrambled bottleneck and the linear schedule.

    Args:
        source: The checkpoint of the TransUNet.
        folder: Where to; it appears when everything is written.
        decoder: The checkpoint of the independent decoder.

    Raises:
        UserError: If a file cannot be read, or the folder exists.
    """
    parts = read_mixture2music(source, decoder)
    with folder_written_whole(folder) as beside:
        pipeline = Mixture2MusicPipeline(parts.network, make_roll_scheduler("ddim"), parts.decoder)
        pipeline.save_pretrained(beside)
        origin = {"layout": LAYOUT, "name": source.name, "sha256": parts.hashes}
        (beside / SOURCE).write_text(json.dumps(origin, indent=2) + "\n")
