"""Spectrogram Diffusion with random weights that takes no time: segments of 16 frames, 0.32 s."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ondes.models.mel_decoder import BlockStream
from ondes.models.port_spectrogram_diffusion import PortDiffusion
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler

FRAMES = 16
SIZES: dict[str, Any] = {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 48}


class PlainVocoder(nn.Module):
    """Every frame becomes 320 samples of its mean, which is linear: small differences stay small."""

    device = torch.device("cpu")
    config: ClassVar[dict[str, object]] = {}

    def forward(self, log_mel: Tensor) -> Tensor:
        return (log_mel.mean(1) / 100).repeat_interleave(320)

    def stream(self) -> BlockStream:
        return BlockStream(self, margin_frames=0, block_frames=1, hop_samples=320)


def tiny_networks(
    *, with_context: bool = True, most_tokens: int = 128
) -> tuple[NotesEncoder, ContextEncoder | None, FilmDecoder]:
    torch.manual_seed(0)
    notes = NotesEncoder(max_length=most_tokens, **SIZES)
    context = ContextEncoder(targets_context_length=FRAMES, terminal_relative=True, **SIZES)
    decoder = FilmDecoder(targets_length=FRAMES, **SIZES)
    return notes.eval(), context.eval() if with_context else None, decoder.eval()


def tiny_pipeline(
    *, with_context: bool = True, most_tokens: int = 128, sampler: str = "dpm++", batch_size: int = 8
) -> SpectrogramDiffusionPipeline:
    networks = tiny_networks(with_context=with_context, most_tokens=most_tokens)
    scheduler = make_spectrogram_scheduler(sampler)
    return SpectrogramDiffusionPipeline(
        *networks, scheduler, PlainVocoder(), default_steps=3, overlap_frames=4, batch_size=batch_size
    )


def port_pipeline(*, with_context: bool) -> SpectrogramDiffusionPipeline:
    torch.manual_seed(0)
    network = PortDiffusion(
        emb_dim=32,
        dim_feedforward=48,
        nhead=2,
        head_dim=8,
        num_layers=1,
        with_context=with_context,
        max_input_length=128,
        max_output_length=FRAMES + 1,
    )
    return SpectrogramDiffusionPipeline(
        None,
        None,
        network,
        make_spectrogram_scheduler("port"),
        PlainVocoder(),
        codec={"name": "port"},
        programs="as-is",
        feature_range=(-11.5, 5.0),
        lead_frames=1,
        default_steps=3,
    )
