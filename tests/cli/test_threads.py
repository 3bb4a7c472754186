"""What a run of the command line tells torch about threads ends with the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from sine_pipeline import Ondes

from ondes.cli import rendering
from ondes.cli.threads import threads_given_back, use_threads
from ondes.pipelines import opening


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """A count that no test asks for."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_caller_of_a_run_gets_its_threads_back() -> None:
    with threads_given_back():
        use_threads(1)
        assert torch.get_num_threads() == 1
        use_threads(2)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


def test_nothing_said_is_nothing_changed() -> None:
    with threads_given_back():
        use_threads(None)
        assert torch.get_num_threads() == 3


def test_a_task_may_have_a_usual_count_and_the_next_one_has_what_the_run_began_with() -> None:
    with threads_given_back():
        use_threads(None, usual=1)
        assert torch.get_num_threads() == 1
        use_threads(2, usual=1)
        assert torch.get_num_threads() == 2
        use_threads(None)
        assert torch.get_num_threads() == 3


def test_threads_come_back_after_a_run_that_failed() -> None:
    def run() -> None:
        with threads_given_back():
            use_threads(1)
            raise typer.Exit(1)

    with pytest.raises(typer.Exit):
        run()
    assert torch.get_num_threads() == 3


def test_a_choice_outside_of_runs_stays() -> None:
    use_threads(2)
    assert torch.get_num_threads() == 2


def test_the_command_line_computes_with_what_was_typed_and_gives_it_back(
    ondes: Ondes, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def opened(*_: object, **__: object) -> None:
        seen.append(torch.get_num_threads())
        raise rendering.UserError("this model is not to be had")

    monkeypatch.setattr(opening, "open_pipeline", opened)
    assert ondes("synth", song, "-o", song.with_suffix(".wav"), "--threads", 2).status == 2
    assert seen == [2]
    assert torch.get_num_threads() == 3
