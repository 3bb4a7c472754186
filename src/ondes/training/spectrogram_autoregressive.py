"""Training of the autoregressive baseline of Hawthorne et al. (2022), arXiv 2206.05408."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.representations.events import CodecSettings, make_codec
from ondes.training.spectrogram_segments import MOST_TOKENS, SEGMENT_FRAMES, SegmentBatch
from ondes.training.spectrogram_system import Optimiser, SpectrogramTraining, masked_mean


class SpectrogramAutoregressiveTraining(SpectrogramTraining):
    """Trains the baseline by teacher forcing: the squared error of every frame, given the true ones before it.

    The error is that of scaled log-mels, 60 times smaller than that of unscaled ones, which the official baseline has;
    Adafactor does not notice the difference.

    Args:
        emb_dim: Channels of a token or frame.
        dim_feedforward: Channels inside the gated MLPs.
        nhead: Attention heads.
        head_dim: Channels of a head.
        num_layers: Layers of the encoder and of the decoder.
        dropout: Share of channels dropped in training.
        codec: Of the tokens: its name, or a mapping of `name` and its settings (see `CodecSettings`).
        max_input_length: Rows of the table of token positions.
        learning_rate: Constant after the warm-up.
        optimizer: "adafactor" or "adamw".
        warm_up_steps: Steps of its rise.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of dropout.
    """

    def __init__(
        self,
        emb_dim: int = 512,
        dim_feedforward: int = 1024,
        nhead: int = 6,
        head_dim: int = 64,
        num_layers: int = 8,
        dropout: float = 0.1,
        codec: CodecSettings = "mt3",
        max_input_length: int = MOST_TOKENS,
        learning_rate: float = 1e-3,
        optimizer: Optimiser = "adafactor",
        warm_up_steps: int = 0,
        ema_decay: float = 0.9999,
        seed: int = 0,
    ) -> None:
        network = SpectrogramAutoregressive(
            vocab_size=make_codec(codec).vocabulary_size,
            max_length=max_input_length,
            targets_length=SEGMENT_FRAMES,
            d_model=emb_dim,
            num_layers=num_layers,
            num_heads=nhead,
            d_kv=head_dim,
            d_ff=dim_feedforward,
            dropout_rate=dropout,
            codec=make_codec(codec).to_config(),
        )
        super().__init__(
            network,
            codec=codec,
            with_context=False,
            most_tokens=max_input_length,
            learning_rate=learning_rate,
            optimiser=optimizer,
            warm_up_steps=warm_up_steps,
            ema_decay=ema_decay,
            seed=seed,
        )
        self.save_hyperparameters()

    def batch_loss(self, network: nn.Module, batch: SegmentBatch, generator: torch.Generator) -> Tensor:
        """Squared error, the mean over bands and over the frames that are not padding."""
        return autoregressive_loss(network, batch)

    def validation_losses(self, network: nn.Module, batch: SegmentBatch) -> dict[str, Tensor]:
        """The same loss."""
        return {"loss": autoregressive_loss(network, batch)}

    def estimate(self, network: nn.Module, batch: SegmentBatch) -> Tensor:
        """What the network makes of the tokens alone, frame by frame."""
        baseline = cast(SpectrogramAutoregressive, network)
        return baseline.generate(batch.tokens, SEGMENT_FRAMES, token_mask=batch.token_mask)


def autoregressive_loss(network: nn.Module, batch: SegmentBatch) -> Tensor:
    """Squared error of teacher forcing, the mean over bands and over the frames that are not padding."""
    expected = network(batch.tokens, batch.token_mask, batch.target)
    return masked_mean((expected - batch.target).square(), batch.target_mask)
