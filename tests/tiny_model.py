"""Models of every task with random weights that take no time, for tests of what lies around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from msanii_layout import networks
from ondes.diffusion.masked import MaskedScheduler
from ondes.models.dmc_unet import DmcUNet
from ondes.models.mel_unet import MelUNet
from ondes.models.note_denoiser import NoteDenoiser
from ondes.models.note_transformer import NoteTransformer
from ondes.models.part_labeller import PartLabeller
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.dmc import DmcPipeline, make_dmc_scheduler
from ondes.pipelines.msanii import MsaniiPipeline, make_msanii_scheduler
from ondes.pipelines.samplers import make_scheduler
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.representations.msanii_mel import MelScaling, MsaniiFeatures, MsaniiSpec
from ondes.representations.triples import TripleStatistics

SIZES: dict[str, Any] = {"segment_frames": 64, "context_frames": 16, "first_frames": 32, "default_steps": 2}


def save_tiny_model(folder: Path) -> Path:
    """Save a pipeline with short segments."""
    torch.manual_seed(0)
    denoiser = NoteDenoiser(width=16, hidden=16, blocks=1, heads=2, note_width=16, note_embedding=8)
    vocoder = Vocoder(width=16, hidden=16, blocks=1)
    SynthesisPipeline(denoiser, vocoder, make_scheduler("euler"), **SIZES).save_pretrained(folder)
    return folder


def save_tiny_composer(folder: Path) -> Path:
    """Save a composer of short windows that has most new notes in the bar of the one before."""
    torch.manual_seed(0)
    network = NoteTransformer(width=8, depth=1, heads=2, hidden=8)
    with torch.no_grad():
        network.frequency[0] += 3.0
    pipeline = ComposerPipeline(
        network, MaskedScheduler(), window_notes=64, context_notes=16, default_steps=1
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_published_composer(folder: Path) -> Path:
    """Save a composer of 16 triples."""
    torch.manual_seed(0)
    statistics = TripleStatistics("midi", "minmax", (40.0, 0.25, 0.0), (80.0, 2.0, 1.0))
    network = DmcUNet(notes=16, width=4, time_size=8, statistics=statistics.to_config())
    DmcPipeline(network, make_dmc_scheduler("ddpm")).save_pretrained(folder)
    return folder


def save_tiny_separator(folder: Path) -> Path:
    """Save a separator of short windows."""
    torch.manual_seed(0)
    network = PartLabeller(width=16, hidden=16, blocks=1, heads=2)
    SeparationPipeline(network, window_notes=16, overlap_notes=8, default_steps=2).save_pretrained(folder)
    return folder


def save_tiny_audio(folder: Path) -> Path:
    """Save an audio model of windows of 0.74 s in which noise, context, place and style all matter."""
    torch.manual_seed(0)
    network = MelUNet(("piano", "strings"), (8, 8), (8, 8), (1, 1), (8,), heads=2)
    for weight in [network.leave.weight, network.style.weight, *network.bottom.parameters()]:
        torch.nn.init.normal_(weight, std=0.1)
    vocoder = Vocoder(width=16, hidden=16, blocks=1)
    with torch.no_grad():
        network.mean[0] = -6.0
    pipeline = AudioPipeline(
        network, vocoder, make_scheduler("euler"), window_frames=64, context_frames=16, default_steps=2
    )
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_published_audio(folder: Path) -> Path:
    """Save Msanii at 8 kHz, whose networks are in folders of their own."""
    features = MsaniiFeatures(MsaniiSpec(8000, 64, 32, 6), MelScaling(-2.0, 19.0, -2.2, 1.7))
    unet, vocoder = networks()
    for network in (unet, vocoder):
        network.register_to_config(features=features.to_config())
    settings: dict[str, Any] = {"default_steps": 2, "griffin_lim_iterations": 2, "window_frames": 64}
    MsaniiPipeline(unet, vocoder, make_msanii_scheduler(), **settings).save_pretrained(folder)
    return folder


def save_tiny_shelf(folder: Path) -> Path:
    """Save models under the names of the bundled ones, with cards that tell their kinds."""
    for name, kind, save in (
        ("synth-small", "synthesiser", save_tiny_model),
        ("compose-small", "composer", save_tiny_composer),
        ("separate-small", "separator", save_tiny_separator),
        ("audio-small", "audio", save_tiny_audio),
    ):
        (save(folder / name) / "card.json").write_text(json.dumps({"kind": kind}))
    return folder
