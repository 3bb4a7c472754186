"""What the training modules share: AdamW with warm-up and cosine, weights to begin with, and their moving average."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from ondes.training.callbacks import averaged
from ondes.training.schedule import warm_up_cosine


def network_folder(saved: Path, component: str = "network") -> Path:
    """Where the network of a saved pipeline is; a network that a run saved is its own folder."""
    return saved / component if (saved / "model_index.json").is_file() else saved


class AveragedTraining(lightning.LightningModule):
    """Trains a network and keeps the exponential moving average of its weights, which is what a run saves.

    Hyperparameters of its own, saved by the modules that derive from it: `learning_rate`, the peak of the schedule, and
    `warm_up_steps`, those of its rise.

    Args:
        model: The network.
        ema_decay: Of the averaged weights.
        start_from: A saved pipeline or network whose weights to begin with.
        component: Name of the network in a saved pipeline.
    """

    betas = (0.9, 0.98)
    weight_decay = 0.01

    def __init__(
        self,
        model: nn.Module,
        *,
        ema_decay: float,
        start_from: Path | None = None,
        component: str = "network",
    ) -> None:
        super().__init__()
        self.model = model
        self.average = averaged(model, decay=ema_decay)
        self.start_from, self.component = start_from, component

    def parameter_groups(self) -> Iterable[Any]:
        """What AdamW is given: all weights alike."""
        return self.model.parameters()

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with warm-up and cosine."""
        optimiser = torch.optim.AdamW(
            self.parameter_groups(),
            lr=self.hparams["learning_rate"],
            betas=self.betas,
            weight_decay=self.weight_decay,
            fused=True,
        )
        steps, warm_up = self.trainer.max_steps, self.hparams["warm_up_steps"]
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: warm_up_cosine(step, warm_up=warm_up, steps=steps)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def takes_over(self) -> bool:
        """Give the network, and its average, the weights of `start_from`: once, so not where a run is resumed.

        Returns:
            Whether there were any to take.
        """
        if self.start_from is None or self.trainer.ckpt_path is not None:
            return False
        place = network_folder(self.start_from, self.component)
        weights = type(self.model).from_pretrained(place).state_dict()  # pyright: ignore[reportAttributeAccessIssue]
        for network in (self.model, self.average.module):
            network.load_state_dict(weights)  # pyright: ignore[reportAttributeAccessIssue]
        return True

    def on_fit_start(self) -> None:
        """Take over weights."""
        self.takes_over()

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Move the weights, then their average: before any callback saves either."""
        super().optimizer_step(*args, **settings)
        self.average.update_parameters(self.model)
