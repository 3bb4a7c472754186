"""A task that was interrupted goes on from its journal: the same bytes, and nothing that was finished is done again."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tiny_bench import Studio, contents, counted
from torch import nn

import tiny_model
from ondes.diffusion.sampling import denoise, kept, results_kept
from ondes.pipelines.samplers import make_scheduler
from ondes.score import read_score
from ondes.scores.notation import Page, to_midi
from ondes.tasks.bench import Cancelled
from ondes.tasks.journal import Journal
from ondes.tasks.kinds import read_task
from ondes.tasks.task import Task
from tiny_spectrograms import tiny_pipeline

STEPS = 2
TASKS: list[dict[str, Any]] = [
    {"kind": "synthesize", "score": "x"},
    {"kind": "generate", "duration_s": 1.6, "n": 2},
    {"kind": "inpaint", "audio": "x", "regions": "0.1-1.9"},
]


def task_of(options: dict[str, Any], tiny: Studio) -> Task:
    model = tiny.folder / ("synth" if options["kind"] == "synthesize" else "audio")
    return read_task(options | {"model": str(model), "steps": STEPS})


def network_of(task: Any, tiny: Studio) -> nn.Module:
    if task.kind == "synthesize":
        return tiny.shelf.pipeline("synthesiser", task.model).denoiser
    return tiny.shelf.pipeline("audio", task.model).network


def kept_in(journal: Path) -> int:
    return len(list(journal.glob("*.safetensors")))


@pytest.mark.parametrize(
    "options",
    [pytest.param(one, marks=[pytest.mark.slow] * (one["kind"] == "generate")) for one in TASKS],
    ids=lambda options: options["kind"],
)
def test_resumed_is_unbroken(options: dict[str, Any], tiny: Studio, tmp_path: Path) -> None:
    task = task_of(options, tiny)
    network = network_of(task, tiny)
    with counted(network) as whole:
        unbroken, _ = tiny.run(task)
    windows = whole.evaluations // STEPS
    assert windows >= 3
    journal = tmp_path / "journal"
    with pytest.raises(Cancelled):
        tiny.run(task, journal=journal, cancelled=lambda: kept_in(journal) >= 2)
    assert kept_in(journal) == 2
    with counted(network) as rest:
        resumed, _ = tiny.run(task, journal=journal)
    assert rest.evaluations == whole.evaluations - 2 * STEPS
    assert contents(resumed) == contents(unbroken)
    assert kept_in(journal) == windows
    with counted(network) as none:
        again, _ = tiny.run(task, journal=journal)
    assert none.evaluations == 0
    assert contents(again) == contents(unbroken)


SYMBOLIC: list[tuple[dict[str, Any], str]] = [
    ({"kind": "compose", "notes": 40, "n": 2, "steps": 3}, "composer"),
    ({"kind": "compose", "verb": "vary", "score": "x", "n": 3, "steps": 3, "strength": 0.9}, "composer"),
    ({"kind": "separate", "score": "x", "into": "piano, bass", "n": 20, "steps": 3}, "separator"),
    ({"kind": "separate", "score": "x", "into": "piano, bass", "n": 9, "method": "classifier"}, "separator"),
]


@pytest.mark.parametrize(
    ("options", "model"),
    [pytest.param(*one, marks=[pytest.mark.slow] * (index % 2)) for index, one in enumerate(SYMBOLIC)],
    ids=lambda one: str(one)[:34],
)
@pytest.mark.filterwarnings("ignore:the score is separate")
def test_notes_that_were_drawn_are_not_drawn_again(
    options: dict[str, Any], model: str, tiny: Studio, tmp_path: Path
) -> None:
    task = read_task(options | {"model": str(tiny.folder / model)})
    network = tiny.shelf.pipeline(cast("Any", model), str(tiny.folder / model)).network
    with counted(network) as whole:
        unbroken, _ = tiny.run(task)
    tiny.run(task, journal=tmp_path / "kept")
    windows = kept_in(tmp_path / "kept")
    assert windows >= 2
    journal = tmp_path / "journal"
    with pytest.raises(Cancelled), counted(network) as begun:
        tiny.run(task, journal=journal, cancelled=lambda: kept_in(journal) >= 1)
    assert kept_in(journal) == 1
    with counted(network) as rest:
        resumed, _ = tiny.run(task, journal=journal)
    assert rest.evaluations + begun.evaluations == whole.evaluations
    assert contents(resumed) == contents(unbroken)
    assert kept_in(journal) == windows
    with counted(network) as none:
        again, _ = tiny.run(task, journal=journal)
    assert none.evaluations == 0
    assert contents(again) == contents(unbroken)


@pytest.mark.slow
def test_published_systems_go_on_too(tiny: Studio, tmp_path: Path) -> None:
    composer = tiny_model.save_tiny_published_composer(tmp_path / "composer")
    audio = tiny_model.save_tiny_published_audio(tmp_path / "audio")
    orders: list[tuple[dict[str, Any], Any, int]] = [
        ({"kind": "compose", "notes": 16, "steps": 3, "model": str(composer)}, "composer", 1),
        ({"kind": "outpaint", "audio": "x", "after_s": 0.6, "steps": 2, "model": str(audio)}, "audio", 3),
    ]
    for options, kind, least in orders:
        task, journal = read_task(options), tmp_path / f"journal-{kind}"
        pipeline = tiny.shelf.pipeline(kind, options["model"])
        network = pipeline.network if kind == "composer" else pipeline.pipeline.unet
        with counted(network) as whole:
            unbroken, _ = tiny.run(task)
        first, _ = tiny.run(task, journal=journal)
        made = sorted(journal.iterdir())
        assert len(made) >= least
        made[-1].unlink()
        with counted(network) as rest:
            again, _ = tiny.run(task, journal=journal)
        assert rest.evaluations * len(made) == whole.evaluations
        assert contents(unbroken) == contents(first) == contents(again)


@pytest.mark.slow
def test_side_by_side_each_window_finds_its_own(tiny: Studio, tmp_path: Path) -> None:
    options = {"kind": "compose", "notes": 12, "n": 6, "steps": 2, "model": str(tiny.folder / "composer")}
    shelf, threads = tiny.shelf, torch.get_num_threads()
    try:
        shelf.threads = 3
        task = read_task(options)
        unbroken, _ = tiny.run(task)
        first, _ = tiny.run(task, journal=tmp_path)
        kept = sorted(tmp_path.iterdir())
        assert len(kept) >= 6
        for lost in kept[::2]:
            lost.unlink()
        again, _ = tiny.run(task, journal=tmp_path)
    finally:
        shelf.threads = 1
        torch.set_num_threads(threads)
    assert contents(first) == contents(unbroken)
    assert contents(again) == contents(unbroken)
    assert sorted(tmp_path.iterdir()) == kept


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        *(pytest.param(one, marks=pytest.mark.slow) for one in ({"temperature": 0.5}, {"steps": 3})),
    ],
)
def test_another_task_takes_nothing_from_the_journal(
    change: dict[str, Any], tiny: Studio, tmp_path: Path
) -> None:
    options = {"kind": "generate", "duration_s": 0.5}
    tiny.run(task_of(options, tiny), journal=tmp_path)
    other = task_of(options, tiny).model_copy(update=change)
    alone, _ = tiny.run(other)
    beside, _ = tiny.run(other, journal=tmp_path)
    assert contents(beside) == contents(alone)


def test_a_damaged_file_of_the_journal_is_made_again(tiny: Studio, tmp_path: Path) -> None:
    task = task_of({"kind": "generate", "duration_s": 0.9}, tiny)
    first, _ = tiny.run(task, journal=tmp_path)
    broken, *_ = sorted(tmp_path.iterdir())
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    again, _ = tiny.run(task, journal=tmp_path)
    assert contents(again) == contents(first)
    assert broken.read_bytes() == whole


def test_the_journal_gives_what_it_kept_and_knows_the_work_the_order_and_the_beginning(
    tmp_path: Path,
) -> None:
    begin = torch.arange(6.0).reshape(2, 3)
    computed: list[int] = []

    def ask(journal: Journal, begin: torch.Tensor, answer: float, name: str = "") -> float:
        def compute() -> tuple[torch.Tensor, ...]:
            computed.append(1)
            return torch.full((3,), answer), torch.arange(2)

        values, whole = journal(begin, name, compute)
        assert torch.equal(whole, torch.arange(2))
        return float(values[0])

    first = Journal(tmp_path, "work")
    assert [ask(first, begin, 1.0), ask(first, begin, 2.0)] == [1, 2]
    second = Journal(tmp_path, "work")
    assert [ask(second, begin, 8.0), ask(second, begin, 8.0), ask(second, begin, 3.0)] == [1, 2, 3]
    assert len(computed) == 3
    assert [ask(first, begin, 9.0, "b"), ask(first, begin, 7.0, "a")] == [9, 7]
    assert [ask(second, begin, 0.0, "a"), ask(second, begin, 0.0, "b")] == [7, 9], "in any order"
    assert ask(second, begin + 1, 6.0, "a") == 6
    assert ask(Journal(tmp_path, "other work"), begin, 4.0) == 4
    assert ask(Journal(tmp_path, "work"), begin.reshape(3, 2), 5.0) == 5
    assert ask(Journal(tmp_path, "work"), begin.to(torch.bfloat16), 6.0) == 6


def test_without_a_journal_nothing_is_kept_and_with_one_the_layer_knows_no_file() -> None:
    noise = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    asked: list[torch.Tensor] = []

    def keep(begin: torch.Tensor, name: str, compute: Any) -> tuple[torch.Tensor, ...]:
        assert name == ""
        asked.append(begin)
        return tuple(one + 1 for one in compute())

    def sample() -> torch.Tensor:
        return denoise(lambda noisy, _: noisy, noise, scheduler=make_scheduler("euler"), steps=2)

    plain = sample()
    with results_kept(keep):
        assert torch.equal(sample(), plain + 1)
    assert torch.equal(sample(), plain)
    assert len(asked) == 1
    assert torch.equal(asked[0], noise)


def test_chances_go_on_from_where_a_kept_result_left_them(tmp_path: Path) -> None:
    def draw(journal: Journal | None) -> list[float]:
        generator = torch.Generator().manual_seed(3)

        def one() -> torch.Tensor:
            return torch.rand(1, generator=generator)

        with nullcontext() if journal is None else results_kept(journal):
            return [float(kept(torch.zeros(1), one, generators=[generator])) for _ in range(3)] + [
                float(one())
            ]

    plain = draw(None)
    assert len(set(plain)) == 4
    assert draw(Journal(tmp_path, "work")) == plain
    (tmp_path / sorted(path.name for path in tmp_path.iterdir())[1]).unlink()
    assert draw(Journal(tmp_path, "work")) == plain


@pytest.mark.parametrize("continuation", ["context", "inpainting", "none"])
def test_segments_of_spectrogram_diffusion_are_kept_too(continuation: str, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(batch_size=1)
    page = Page("Piano", 0)
    for beat in range(4):
        page.note(beat, 60 + beat, 1.0, 80)
    score = read_score(to_midi([page], [(0.0, 240.0)]))

    def play() -> bytes:
        with results_kept(Journal(tmp_path, continuation)), counted(pipeline.decoder) as count:
            blocks = list(pipeline.stream(score, continuation=continuation, guidance_scale=1.0))
        asked.append(count.evaluations)
        return b"".join(block.samples.tobytes() for block in blocks)

    asked: list[int] = []
    first = play()
    made = sorted(tmp_path.iterdir())
    assert len(made) >= 3
    for lost in made[2:]:
        lost.unlink()
    assert play() == first
    assert play() == first
    assert asked[0] > 0
    assert asked[1] == asked[0] * (len(made) - 2) // len(made)
    assert asked[2] == 0
