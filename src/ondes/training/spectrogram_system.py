"""What training of the spectrogram diffusion systems and of their autoregressive baseline share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, cast

import lightning
import torch
from torch import Tensor, nn

from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.representations.events import CodecSettings, make_codec
from ondes.representations.framed_mel import from_scaled
from ondes.training.callbacks import averaged
from ondes.training.spectrogram_data import SpectrogramData
from ondes.training.spectrogram_segments import SEGMENT_FRAMES, SegmentBatch

Optimiser = Literal["adafactor", "adamw"]

SMALLEST_SQUARED_GRADIENT = 1e-30
"""Adafactor's first epsilon, of the paper and of T5X."""


def make_optimiser(
    parameters: list[nn.Parameter], kind: Optimiser, *, learning_rate: float
) -> torch.optim.Optimizer:
    """Adafactor as the official systems were trained with, or AdamW.

    Adafactor (Shazeer and Stern 2018, arXiv 1804.04235) moves a matrix by the learning rate times its own root mean
    square, at least 0.001. torch's takes the smaller of the learning rate and 1 / sqrt(step), which at a rate of 0.001
    is the rate for a million steps.
    """
    if kind == "adafactor":
        # torch squares its first epsilon; its default of 1e-7 is more than gradients of a mean loss can be.
        eps = (SMALLEST_SQUARED_GRADIENT**0.5, 1e-3)
        return torch.optim.Adafactor(parameters, lr=learning_rate, eps=eps)
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (batch, frames, bands) over the frames (batch, frames) where the mask is true."""
    weights = mask.to(values.dtype)
    return (values.mean(-1) * weights).sum() / weights.sum().clamp(min=1)


def differing(name: str, mine: object, theirs: object) -> UserError:
    """What is wrong where a setting of the model is not that of the data."""
    return UserError(
        f"model.init_args.{name} is {mine!r} but data.init_args.{name} is {theirs!r}; give both the same"
    )


class SpectrogramTraining(lightning.LightningModule):
    """A network over segments, its averaged weights and its optimiser.

    Args:
        network: The network, with `save_pretrained`.
        codec: Of the tokens it reads, as `make_codec` takes it.
        with_context: Whether it hears what comes before.
        most_tokens: How many it reads.
        segment_frames: Frames of a segment.
        learning_rate: Constant after the warm-up.
        optimiser: "adafactor" or "adamw".
        warm_up_steps: Steps of a straight rise of the learning rate at the beginning.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise, levels and dropout.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        codec: CodecSettings,
        with_context: bool,
        most_tokens: int,
        learning_rate: float,
        optimiser: Optimiser,
        warm_up_steps: int,
        ema_decay: float,
        seed: int,
        segment_frames: int = SEGMENT_FRAMES,
    ) -> None:
        super().__init__()
        self.network = network
        self.average = averaged(network, decay=ema_decay)
        self.codec, self.with_context, self.most_tokens = make_codec(codec), with_context, most_tokens
        self.seed, self.segment_frames = seed, segment_frames
        self.learning_rate, self.warm_up_steps = learning_rate, warm_up_steps
        self.optimiser: Optimiser = optimiser

    @abstractmethod
    def batch_loss(self, network: nn.Module, batch: SegmentBatch, generator: torch.Generator) -> Tensor:
        """Loss of a batch in training."""

    @abstractmethod
    def validation_losses(self, network: nn.Module, batch: SegmentBatch) -> dict[str, Tensor]:
        """Losses of a batch that are the same whenever they are asked for, by name."""

    @abstractmethod
    def estimate(self, network: nn.Module, batch: SegmentBatch) -> Tensor:
        """What the network makes of a batch in one evaluation, as scaled log-mel (batch, frames, bands)."""

    def configure_optimizers(self) -> dict[str, object]:
        """The optimiser at a constant rate, after a warm-up."""
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimiser = make_optimiser(trained, self.optimiser, learning_rate=self.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, (step + 1) / max(self.warm_up_steps, 1))
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def check_data(self, data: object) -> None:
        """Compare the model's settings with those of the data, before anything is read.

        Raises:
            UserError: If the tokens are of another codec or may be too many, segments differ in length, or one of
                both has context and the other none.
        """
        if not isinstance(data, SpectrogramData):
            return
        if data.codec.to_config() != self.codec.to_config():
            raise differing("codec", self.hparams["codec"], data.hparams["codec"])
        if data.hparams["with_context"] != self.with_context:
            raise differing("with_context", self.with_context, data.hparams["with_context"])
        if data.hparams["segment_frames"] != self.segment_frames:
            raise differing("segment_frames", self.segment_frames, data.hparams["segment_frames"])
        if data.most_tokens > self.most_tokens:
            raise UserError(
                f"a segment may have {data.most_tokens} tokens but the model reads {self.most_tokens}; give "
                f"--data.init_args.midi_output_size {self.most_tokens}, or more --model.init_args.max_input_length"
            )

    def on_fit_start(self) -> None:
        """Check the data also where the command line did not."""
        self.check_data(getattr(self.trainer, "datamodule", None))

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Move the weights, then their average: before any callback saves either."""
        super().optimizer_step(*args, **settings)
        self.average.update_parameters(self.network)

    def training_step(self, batch: SegmentBatch) -> Tensor:
        """Loss of a batch, with noise that is a function of the batch's number."""
        seed = position_seed(self.seed, "step", int(batch.number))
        torch.manual_seed(seed)  # dropout draws from the generator of all
        loss = self.batch_loss(self.network, batch, torch.Generator().manual_seed(seed))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.tokens))
        return loss

    def validation_step(self, batch: SegmentBatch, number: int) -> None:
        """Losses of the averaged weights."""
        network = cast(nn.Module, self.average.module)
        for name, loss in self.validation_losses(network, batch).items():
            self.log(f"validation/{name}", loss, batch_size=len(batch.tokens), sync_dist=True)

    def sample_image(self) -> dict[str, Tensor]:
        """A segment of the validation data, or else of the training's, and what the network makes of it."""
        loader: Any = self.trainer.val_dataloaders or self.trainer.train_dataloader
        batch = SegmentBatch(*(part[:1] if part.ndim else part for part in next(iter(loader))))
        batch = SegmentBatch(*(part.to(self.device) for part in batch))
        network = cast(nn.Module, self.average.module).eval()  # no dropout; it is never trained itself
        made = self.estimate(network, batch)
        pictures = {"recording": batch.target, "model": made}
        return {name: from_scaled(scaled)[0].T.float().cpu() for name, scaled in pictures.items()}
