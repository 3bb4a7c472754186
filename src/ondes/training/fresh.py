"""Training windows from scores that are varied and rendered while the training runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ondes.datasets.named import dataset
from ondes.datasets.pairs import PairSettings, RejectionError, make_pair
from ondes.representations.mel import to_log_mel
from ondes.training.windows import Batch, Pair, RandomWindows


class FreshPairs:
    """Pairs of notes and log-mel, rendered when they are asked for; pair k is a function of the seed and k.

    Args:
        soundfont: SoundFont to play with.
        data: Scores to vary, by name and split, or a folder.
        seed: Of the variations.
        seconds: Length of each.
    """

    def __init__(
        self, soundfont: Path, data: str = "corpus:train", seed: int = 0, seconds: float = 25.0
    ) -> None:
        self.settings = PairSettings(Path(soundfont), seed=seed, seconds=seconds, reverb_share=0.0)
        self.entries = dataset(data)
        self.renderer = self.settings.renderer()

    def __call__(self, index: int) -> Pair | None:
        """Pair `index`; none where the render was refused."""
        try:
            made = make_pair(self.entries, self.renderer, self.settings, index)
        except RejectionError:
            return None
        log_mel = to_log_mel(torch.tensor(made.audio.to_stereo().samples)).half().numpy()
        return Pair(str(index), made.notes, log_mel)


class FreshWindows(RandomWindows):
    """Windows of a pool of fresh pairs, of which the oldest goes when a new one comes.

    Batch k is a function of the seed and k here as well: the pool is, too.

    Args:
        render: Gives a pair by its number.
        pool: Pairs to cut from.
        renew_every: Batches for which a pair is the newest.
        settings: As of `RandomWindows`.
    """

    def __init__(
        self, render: Callable[[int], Pair | None], *, pool: int, renew_every: int, **settings: object
    ) -> None:
        super().__init__([], **settings)  # pyright: ignore[reportArgumentType]
        self.render, self.pool, self.renew_every = render, pool, renew_every
        self.kept: OrderedDict[int, Pair | None] = OrderedDict()

    def at(self, number: int) -> Batch:
        """Batch of a number."""
        newest = number // self.renew_every + self.pool
        wanted = range(newest - self.pool, newest)
        self.kept = OrderedDict(
            (index, self.kept[index] if index in self.kept else self.render(index)) for index in wanted
        )
        self.pairs = [pair for pair in self.kept.values() if pair is not None]
        lengths = np.array([max(pair.frames, self.frames) for pair in self.pairs], dtype=np.float64)
        self.weights = lengths / lengths.sum()
        return super().at(number)
