"""The numbers that divide a separator's logits, fitted on validation windows so that stated probabilities hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64

from ondes.datasets.note_cache import open_note_cache
from ondes.diffusion.label_sampling import sample_labels
from ondes.errors import UserError
from ondes.models.part_labeller import PartLabeller
from ondes.training.mixture_windows import MixtureBatch, MixtureWindows, part_names

LEAST, MOST = 0.25, 4.0
"""Temperatures are looked for between these."""
ROUNDS = 60
"""Of golden section search: more than float64 can tell apart."""
BATCH = 8


def fit_temperature(
    log_probability: Float64[np.ndarray, "notes labels"], true: Int64[np.ndarray, " notes"]
) -> float:
    """The temperature at which the true labels are likeliest (Guo et al. 2017, arXiv 1706.04599, section 4.2).

    Args:
        log_probability: Logits, or logarithms of probabilities; minus infinity for what cannot be.
        true: Right label of each note.

    Raises:
        ValueError: If there are no notes.
    """
    if not len(true):
        raise ValueError("a temperature cannot be fitted to no notes")
    finite = np.where(np.isfinite(log_probability), log_probability, -1e9)

    def loss(log_temperature: float) -> float:
        scaled = finite / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        picked = np.take_along_axis(scaled, true[:, None], 1)[:, 0]
        return float((np.log(np.exp(scaled).sum(1)) - picked).mean())

    # The loss has one minimum in 1 / temperature, and so in its logarithm.
    ratio = (5**0.5 - 1) / 2
    low, high = float(np.log(LEAST)), float(np.log(MOST))
    for _ in range(ROUNDS):
        inner, outer = high - ratio * (high - low), low + ratio * (high - low)
        if loss(inner) < loss(outer):
            high = outer
        else:
            low = inner
    return float(np.exp((low + high) / 2))


@torch.no_grad()
def stated(
    network: PartLabeller, batch: MixtureBatch, *, steps: int
) -> tuple[Float64[np.ndarray, "notes labels"], Int64[np.ndarray, " notes"]]:
    """Logarithms of the probabilities that a network had when each label of a batch was chosen, and the true ones.

    Args:
        network: Of a separator; a classifier with one step.
        batch: No label is known.
        steps: Of the sampler, which takes the likeliest labels, the surest first.
    """
    real = (batch.labels >= 0).numpy()
    # What is no note is never asked for: its label is known to be the first.
    hidden = torch.where(batch.labels >= 0, -1, 0)

    def denoiser(labels: torch.Tensor) -> torch.Tensor:
        return network(batch.facts, torch.where(batch.labels >= 0, labels, -1), batch.parts)

    made = sample_labels(
        denoiser,
        hidden,
        steps=steps,
        temperatures=[0.0] * len(hidden),
        generators=[torch.Generator() for _ in range(len(hidden))],
    )
    with np.errstate(divide="ignore"):
        return np.log(made.probability.double().numpy()[real]), batch.labels.numpy()[real]


def calibrate(
    network: PartLabeller, cache: Path, *, steps: int, windows: int = 64, notes: int = 256
) -> float:
    """The temperature of a network on windows of songs that it has not learned.

    Args:
        network: Of a separator.
        cache: Note cache of validation songs.
        steps: As of `stated`.
        windows: How many.
        notes: Of each.

    Raises:
        UserError: If no song has two parts.
    """
    found = open_note_cache(cache)
    songs = [song for song, _ in (found[index] for index in range(len(found))) if len(part_names(song)) > 1]
    if not songs:
        raise UserError(f"{cache} holds no score of two parts or more; give another")
    batches = MixtureWindows(songs, batch=BATCH, notes=notes, seed=-2, vary=False)
    pairs = [stated(network, batches.at(number), steps=steps) for number in range(-(-windows // BATCH))]
    most = max(table.shape[1] for table, _ in pairs)
    tables = [
        np.pad(table, ((0, 0), (0, most - table.shape[1])), constant_values=-np.inf) for table, _ in pairs
    ]
    return fit_temperature(np.concatenate(tables), np.concatenate([true for _, true in pairs]))
