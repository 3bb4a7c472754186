"""Music and diffusion: any MIDI file becomes 44.1 kHz stereo audio, played by a diffusion model.

Names are imported when they are first used, so that `import ondes` loads neither torch nor anything else heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ondes.audio import Audio, AudioWriter
    from ondes.errors import UserError
    from ondes.models.griffin_lim import GriffinLim
    from ondes.models.note_denoiser import NoteDenoiser
    from ondes.models.vocoder import Vocoder
    from ondes.pipelines.audio import AudioPipeline
    from ondes.pipelines.composer import ComposerPipeline
    from ondes.pipelines.separation import SeparationPipeline
    from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
    from ondes.pipelines.synthesis import SynthesisPipeline
    from ondes.score import Notes, read_score, to_notes

__version__ = "0.1.0"

_HOMES = {
    "Audio": "ondes.audio",
    "AudioPipeline": "ondes.pipelines.audio",
    "ComposerPipeline": "ondes.pipelines.composer",
    "GriffinLim": "ondes.models.griffin_lim",
    "AudioWriter": "ondes.audio",
    "Notes": "ondes.score",
    "NoteDenoiser": "ondes.models.note_denoiser",
    "SeparationPipeline": "ondes.pipelines.separation",
    "SpectrogramDiffusionPipeline": "ondes.pipelines.spectrogram_diffusion",
    "SynthesisPipeline": "ondes.pipelines.synthesis",
    "UserError": "ondes.errors",
    "Vocoder": "ondes.models.vocoder",
    "read_score": "ondes.score",
    "to_notes": "ondes.score",
}

__all__ = [
    "Audio",
    "AudioPipeline",
    "AudioWriter",
    "ComposerPipeline",
    "GriffinLim",
    "NoteDenoiser",
    "Notes",
    "SeparationPipeline",
    "SpectrogramDiffusionPipeline",
    "SynthesisPipeline",
    "UserError",
    "Vocoder",
    "__version__",
    "read_score",
    "to_notes",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ondes' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
