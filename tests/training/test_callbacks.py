from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import lightning
import numpy as np
import pytest
import torch
from PIL import Image

from ondes.training import callbacks
from ondes.training.callbacks import SampleImages, SaveModel, SpeedReport


def accumulating(step: int) -> Mock:
    return Mock(spec=lightning.Trainer, global_step=step, accumulate_grad_batches=4, is_global_zero=True)


def test_accumulated_batches_save_and_draw_once_a_step(tmp_path: Path) -> None:
    module = Mock(spec=lightning.LightningModule, average=Mock(), sample_image=Mock())
    saved = module.average.module.save_pretrained
    saved.side_effect = lambda folder: folder.mkdir()
    module.sample_image.return_value = {"model": torch.zeros(2, 3)}
    save, draw = SaveModel(tmp_path / "model", every_n_steps=2), SampleImages(tmp_path, every_n_steps=2)
    # A step is taken in its fourth batch, so the batches of the next one still see its number.
    for batch, step in enumerate([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]):
        for callback in (save, draw):
            callback.on_train_batch_end(accumulating(step), module, None, None, batch)
    assert saved.call_count == 1
    assert module.sample_image.call_count == 1
    assert [path.name for path in tmp_path.glob("*.png")] == ["step_0000002.png"]


def test_rows_are_drawn_under_each_other_with_low_bands_below(
    tmp_path: Path, draw_rows: Callable[..., None]
) -> None:
    low = torch.full((8, 20), -11.5)
    low[:4] = 3.0
    draw_rows({"low": low, "high": low.flip(0)}, tmp_path / "new" / "rows.png")
    with Image.open(tmp_path / "new" / "rows.png") as opened:
        column = np.asarray(opened.convert("RGB"))[:, opened.width // 4]  # beside the titles
    runs = ((tuple(colour), len(list(run))) for colour, run in itertools.groupby(column.tolist()))
    silent, loud, paper = (68, 1, 84), (253, 231, 36), (255, 255, 255)
    assert [colour for colour, pixels in runs if pixels > 2 and colour != paper] == [
        silent,
        loud,
        loud,
        silent,
    ]


def test_speed_counts_every_accumulated_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 30.0])
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    logged: dict[str, float] = {}
    module = Mock(spec=lightning.LightningModule)
    module.log = lambda name, value, **_: logged.update({name: value})
    report = SpeedReport(every_n_steps=5)
    report.flops_per_batch = 1e12
    report.on_train_batch_end(accumulating(5), module, None, [torch.zeros(3)], 19)
    # 5 steps of 4 batches of 3 windows in 20 s.
    assert logged == {"speed/windows_per_s": 3.0, "speed/tflops": 1.0}
