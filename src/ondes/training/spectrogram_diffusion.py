"""Training of the spectrogram diffusion systems of Hawthorne et al. (2022), arXiv 2206.05408."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ondes.diffusion.flow import stratified
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.noise import position_seed
from ondes.diffusion.predictions import Prediction
from ondes.errors import UserError
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler
from ondes.representations.events import CodecSettings, EventCodec, make_codec
from ondes.representations.note_events import STEPS_PER_FRAME
from ondes.training.spectrogram_segments import MOST_TOKENS, SEGMENT_FRAMES, SegmentBatch
from ondes.training.spectrogram_system import Optimiser, SpectrogramTraining, masked_mean

Distance = Literal["l1", "l2"]

BANDS = 128
VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
SAMPLER = "dpm++"
PICTURE_TIME = 0.5
"""Where data and noise are equally strong."""


class DiffusionNetworks(nn.Module):
    """The encoders and the decoder of a system, called as one network in training.

    Args:
        notes_encoder: Encodes tokens.
        continuous_encoder: Encodes context, if there is one.
        decoder: Denoises.
        codec: Settings of the tokens, which are saved with the networks.
        prediction: What the decoder answers with, likewise.
    """

    def __init__(
        self,
        notes_encoder: NotesEncoder,
        continuous_encoder: ContextEncoder | None,
        decoder: FilmDecoder,
        *,
        codec: dict[str, Any],
        prediction: Prediction,
    ) -> None:
        super().__init__()
        self.notes_encoder, self.continuous_encoder = notes_encoder, continuous_encoder
        self.decoder = decoder
        self.codec, self.prediction = codec, prediction

    def forward(self, noisy: Tensor, time: Tensor, batch: SegmentBatch, given: Tensor) -> Tensor:
        """The decoder's answer, of the examples (batch,) where `given` is false without notes and context.

        A condition is taken away by masking it in the decoder: every network runs on every example, so every weight has
        a gradient in every process.
        """
        encodings = [self.notes_encoder(batch.tokens, batch.token_mask)]
        masks = [batch.token_mask]
        if self.continuous_encoder is not None:
            encodings.append(self.continuous_encoder(batch.context, batch.context_mask))
            masks.append(batch.context_mask)
        memory = self.decoder.memory(torch.cat(encodings, 1), torch.cat(masks, 1) & given[:, None])
        return self.decoder(noisy, time, memory)

    def save_pretrained(self, folder: Path) -> None:
        """Save a pipeline that plays with these networks, and with no vocoder of its own."""
        scheduler = make_spectrogram_scheduler(SAMPLER, prediction_type=self.prediction)
        SpectrogramDiffusionPipeline(
            self.notes_encoder,
            self.continuous_encoder,
            self.decoder,
            scheduler,
            codec=self.codec,
            programs="as-is",
        ).save_pretrained(folder)


def training_target(
    data: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor, prediction: Prediction
) -> Tensor:
    """What the network should answer: the noise, the data, or alpha noise - sigma data."""
    if prediction == "epsilon":
        return noise
    return data if prediction == "sample" else alpha * noise - sigma * data


def diffusion_loss(
    network: nn.Module,
    batch: SegmentBatch,
    *,
    time: Tensor,
    noise: Tensor,
    given: Tensor,
    prediction: Prediction = "epsilon",
    distance: Distance = "l1",
) -> Tensor:
    """Distance of the network's answer from the truth, the mean over the frames that are not padding.

    Args:
        network: Called as `DiffusionNetworks` is.
        batch: The segments.
        time: 0 (data) to 1 (noise), (batch,).
        noise: Like the targets.
        given: Which examples have their condition (batch,).
        prediction: What the network answers with.
        distance: Mean absolute ("l1") or squared ("l2") difference.
    """
    alpha, sigma = (part[:, None, None] for part in alpha_sigma(cosine_log_snr(time)))
    noisy = alpha * batch.target + sigma * noise
    truth = training_target(batch.target, noise, alpha, sigma, prediction)
    difference = network(noisy, time, batch, given) - truth
    return masked_mean(difference.abs() if distance == "l1" else difference.square(), batch.target_mask)


@torch.no_grad()
def align_shifts(encoder: NotesEncoder, decoder: FilmDecoder, codec: EventCodec) -> None:
    """Let the embeddings of shifts begin as the positions, in the decoder, of the frames that they name.

    Which frame a shift means is otherwise learned shift by shift. Between two frames the embedding lies halfway, and
    all have the mean square of the others.

    Raises:
        UserError: If the codec has no shifts from the beginning of a segment.
    """
    layout = getattr(codec, "layout", None)
    if layout is None:
        raise UserError(f"shifts_as_positions is for the codec 'mt3'; leave it out for {codec.name!r}")
    positions = decoder.position_encoding.weight
    steps = torch.arange(min(STEPS_PER_FRAME * len(positions), layout.shifts))
    before, after = steps // STEPS_PER_FRAME, -(-steps // STEPS_PER_FRAME)
    between = (positions[before] + positions[after.clamp(max=len(positions) - 1)]) / 2
    unit = between / between.square().mean(1, keepdim=True).sqrt()
    encoder.token_embedder.weight[layout.offset : layout.offset + len(steps)] = unit


def to_sample(noisy: Tensor, answer: Tensor, alpha: Tensor, sigma: Tensor, prediction: Prediction) -> Tensor:
    """The data that an answer points at, clipped to the range of the features."""
    if prediction == "epsilon":
        answer = (noisy - sigma * answer) / alpha
    elif prediction == "v_prediction":
        answer = alpha * noisy - sigma * answer
    return answer.clamp(-1, 1)


class SpectrogramDiffusionTraining(SpectrogramTraining):
    """Trains note encoder, context encoder and decoder by denoising.

    Args:
        emb_dim: Channels of a token.
        dim_feedforward: Channels inside the gated MLPs.
        nhead: Attention heads.
        head_dim: Channels of a head.
        num_layers: Layers of each encoder and of the decoder.
        dropout: Share of channels dropped in training.
        with_context: Whether there is a context encoder.
        segment_frames: Frames of 20 ms that are made at once, and of context; the published systems have 256. Fewer
            are learned sooner, since there are fewer times to tell apart.
        codec: Of the tokens: its name, or a mapping of `name` and its settings (see `CodecSettings`).
        max_input_length: Rows of the table of token positions.
        shifts_as_positions: Whether the embeddings of tokens of time begin as the positions of the frames they name
            (`align_shifts`), which a short run could not learn.
        cfg_dropout: Share of examples trained without notes and context, for classifier-free guidance.
        prediction: What the network answers with: "epsilon", "sample" or "v_prediction".
        distance: "l1" or "l2".
        learning_rate: Constant after the warm-up.
        optimizer: "adafactor" or "adamw".
        warm_up_steps: Steps of its rise.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise, times and dropout.
    """

    def __init__(
        self,
        emb_dim: int = 512,
        dim_feedforward: int = 1024,
        nhead: int = 6,
        head_dim: int = 64,
        num_layers: int = 8,
        dropout: float = 0.1,
        with_context: bool = False,
        segment_frames: int = SEGMENT_FRAMES,
        codec: CodecSettings = "mt3",
        max_input_length: int = MOST_TOKENS,
        shifts_as_positions: bool = False,
        cfg_dropout: float = 0.1,
        prediction: Prediction = "epsilon",
        distance: Distance = "l1",
        learning_rate: float = 1e-3,
        optimizer: Optimiser = "adafactor",
        warm_up_steps: int = 0,
        ema_decay: float = 0.9999,
        seed: int = 0,
    ) -> None:
        sizes: dict[str, Any] = {
            "d_model": emb_dim,
            "dropout_rate": dropout,
            "num_layers": num_layers,
            "num_heads": nhead,
            "d_kv": head_dim,
            "d_ff": dim_feedforward,
        }
        frames = {"input_dims": BANDS, "targets_context_length": segment_frames, "terminal_relative": True}
        tokens_of = make_codec(codec)
        tokens = {"max_length": max_input_length, "vocab_size": tokens_of.vocabulary_size}
        network = DiffusionNetworks(
            NotesEncoder(**tokens, **sizes),
            ContextEncoder(**frames, **sizes) if with_context else None,
            FilmDecoder(input_dims=BANDS, targets_length=segment_frames, **sizes),
            codec=tokens_of.to_config(),
            prediction=prediction,
        )
        if shifts_as_positions:
            align_shifts(network.notes_encoder, network.decoder, tokens_of)
        super().__init__(
            network,
            codec=codec,
            with_context=with_context,
            most_tokens=max_input_length,
            segment_frames=segment_frames,
            learning_rate=learning_rate,
            optimiser=optimizer,
            warm_up_steps=warm_up_steps,
            ema_decay=ema_decay,
            seed=seed,
        )
        self.save_hyperparameters()

    def _loss(
        self, network: nn.Module, batch: SegmentBatch, time: Tensor, noise: Tensor, given: Tensor
    ) -> Tensor:
        prediction, distance = self.hparams["prediction"], self.hparams["distance"]
        place = {"time": time.to(self.device), "noise": noise.to(self.device), "given": given.to(self.device)}
        return diffusion_loss(network, batch, prediction=prediction, distance=distance, **place)

    def batch_loss(self, network: nn.Module, batch: SegmentBatch, generator: torch.Generator) -> Tensor:
        """Loss at random times; some examples have lost notes and context."""
        examples = len(batch.tokens)
        time = stratified(examples, generator)
        given = torch.rand(examples, generator=generator) >= self.hparams["cfg_dropout"]
        noise = torch.randn(batch.target.shape, generator=generator)
        return self._loss(network, batch, time, noise, given)

    def validation_losses(self, network: nn.Module, batch: SegmentBatch) -> dict[str, Tensor]:
        """Losses at fixed times with fixed noise, with the condition, and their mean; without it at the middle."""
        generator = torch.Generator().manual_seed(position_seed("validation", int(batch.number)))
        noise = torch.randn(batch.target.shape, generator=generator)
        every = torch.ones(len(batch.tokens), dtype=torch.bool)
        losses = {
            f"loss_{value:g}": self._loss(network, batch, torch.full((len(every),), value), noise, every)
            for value in VALIDATION_TIMES
        }
        middle = torch.full((len(every),), PICTURE_TIME)
        unconditional = self._loss(network, batch, middle, noise, ~every)
        mean = torch.stack(list(losses.values())).mean()
        return {"loss": mean, **losses, "unconditional_0.5": unconditional}

    def estimate(self, network: nn.Module, batch: SegmentBatch) -> Tensor:
        """The data that the answer halfway to noise points at."""
        time = torch.full((len(batch.tokens),), PICTURE_TIME, device=self.device)
        alpha, sigma = (part[:, None, None] for part in alpha_sigma(cosine_log_snr(time)))
        noise = torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        noisy = alpha * batch.target + sigma * noise
        answer = network(noisy, time, batch, torch.ones_like(time, dtype=torch.bool))
        return to_sample(noisy, answer, alpha, sigma, self.hparams["prediction"])
