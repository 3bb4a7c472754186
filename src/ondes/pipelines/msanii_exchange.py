"""The published checkpoint of Msanii becomes a model of ours."""

from __future__ import annotations

import json
from pathlib import Path

from ondes.checkpoints.msanii import SUFFIX, read_msanii
from ondes.files import folder_written_whole
from ondes.pipelines.msanii import PUBLISHED_FRAMES, MsaniiPipeline, make_msanii_scheduler

LAYOUT = "msanii"
SOURCE = "source.json"
"""File in an imported model's folder that says where it came from."""


def is_msanii_file(source: str) -> bool:
    """Whether a source looks like a checkpoint of Msanii, by its name."""
    return Path(source).suffix.lower() == SUFFIX


def import_msanii(source: str, folder: Path, *, compat: bool = False) -> None:
    """Write a published checkpoint as a model that makes audio, with `source.json` that says where it came from.

    Args:
        source: The file.
        folder: Where to; it appears when everything is written.
        compat: Keep the original's arithmetic: its grids of timesteps, attention whose gain falls with the length, and
            all that `MsaniiPipeline` says. Else attention has at any length the gain that it was trained with.

    Raises:
        UserError: If the file cannot be read, or the folder exists.
    """
    parts = read_msanii(Path(source))
    if not compat:
        parts.unet.register_to_config(attention_frames=PUBLISHED_FRAMES)
    pipeline = MsaniiPipeline(
        parts.unet,
        parts.vocoder,
        make_msanii_scheduler(**parts.scheduler),
        compat=compat,
        griffin_lim_iterations=parts.griffin_lim["iterations"],
        griffin_lim_momentum=parts.griffin_lim["momentum"],
    )
    with folder_written_whole(folder) as beside:
        pipeline.save_pretrained(beside)
        origin = {"layout": LAYOUT, "name": Path(source).name, "sha256": parts.hashes, "compat": compat}
        (beside / SOURCE).write_text(json.dumps(origin, indent=2) + "\n")
