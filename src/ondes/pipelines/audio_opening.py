"""Which pipeline makes and edits audio with a model."""

from __future__ import annotations

import json
from pathlib import Path

from ondes.errors import UserError
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.bundled import resolve
from ondes.pipelines.msanii import INDEX, MsaniiPipeline
from ondes.pipelines.msanii_audio import MsaniiAudio

AudioMaker = AudioPipeline | MsaniiAudio


def open_audio_pipeline(name: str | Path, *, vocoder: str | Path | None = None) -> AudioMaker:
    """A model of any kind that makes audio, as its model_index.json says.

    Args:
        name: A bundled name, a folder, or a Hub id.
        vocoder: By name or place, as its `from_pretrained` takes it; the model's own if missing.

    Raises:
        UserError: If there is no such model or vocoder, or its weights are damaged or do not fit.
    """
    chosen = {} if vocoder is None else {"vocoder": vocoder}
    if is_msanii(name):
        return MsaniiAudio.from_pretrained(name, **chosen)
    return AudioPipeline.from_pretrained(name, **chosen)


def is_msanii(name: str | Path) -> bool:
    """Whether a model is a pipeline, or a network alone, of Msanii.

    Raises:
        UserError: If its settings are damaged.
    """
    folder = Path(name)
    files = [folder / file for file in (INDEX, "config.json") if (folder / file).is_file()]
    if not files:
        place = resolve(name, kind="audio", config=INDEX)
        files = [place / INDEX] if isinstance(place, Path) else []
    try:
        settings = json.loads(files[0].read_text(encoding="utf-8")) if files else {}
        kind = settings.get("_class_name")
    except (OSError, ValueError, AttributeError):
        raise UserError(f"{files[0]} is damaged; save or install the model again") from None
    return kind in (MsaniiPipeline.__name__, "MsaniiUNet")
