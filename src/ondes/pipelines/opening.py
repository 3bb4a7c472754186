"""Which pipeline plays a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ondes.checkpoints.spectrogram_folder import INDEX, PUBLIC, is_spectrogram_folder, read_json
from ondes.errors import UserError
from ondes.pipelines.bundled import resolve
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_loading import hub_index, is_baseline
from ondes.pipelines.synthesis import SynthesisPipeline

Player = SynthesisPipeline | SpectrogramDiffusionPipeline


def open_pipeline(name: str | Path, *, vocoder: str | Path | None = None, int8: bool = False) -> Player:
    """A model of any kind that plays scores.

    Args:
        name: A bundled name, a folder of ours or in the layout of `google/music-spectrogram-diffusion`, or a Hub id.
        vocoder: By name or place, as its `from_pretrained` takes it; the model's own if missing.
        int8: Whether linear layers compute with whole numbers of 8 bits, which Spectrogram Diffusion alone can.

    Raises:
        UserError: If there is no such model or vocoder, its weights are damaged or do not fit, or it has no 8 bits.
    """
    kind = pipeline_class(name)
    chosen: dict[str, Any] = {} if vocoder is None else {"vocoder": vocoder}
    if int8:
        if kind is not SpectrogramDiffusionPipeline:
            raise UserError(f"{name} does not compute with 8 bits; leave out int8, or choose another model")
        chosen["int8"] = True
    return kind.from_pretrained(name, **chosen)


def pipeline_class(name: str | Path) -> type[Player]:
    """The pipeline that plays a model, as its model_index.json says.

    Raises:
        UserError: If there is no such model, or it plays nothing.
    """
    if is_spectrogram_folder(Path(name)) or is_baseline(name) or name == PUBLIC:
        return SpectrogramDiffusionPipeline
    place = resolve(name, kind="synthesiser", config=INDEX)
    index = read_json(place / INDEX) if isinstance(place, Path) else hub_index(place)
    if index.get("_class_name") in ("ComposerPipeline", "DmcPipeline"):
        raise UserError(
            f"{name} is a composer, which writes scores; give it to 'ondes compose', or choose another model"
        )
    if index.get("_class_name") in ("SeparationPipeline", "Mixture2MusicPipeline"):
        raise UserError(f"{name} is a separator, which plays nothing; give it to 'ondes separate'")
    players: dict[object, type[Player]] = {
        kind.__name__: kind for kind in (SynthesisPipeline, SpectrogramDiffusionPipeline)
    }
    player = players.get(index.get("_class_name"))
    if player is None:
        raise UserError(
            f"{name} is saved as {index.get('_class_name')!r}, which plays no scores; give a "
            f"{' or '.join(map(str, players))}"
        )
    return player
