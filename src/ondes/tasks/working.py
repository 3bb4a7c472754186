"""What happens around the work of every task: it can be stopped, kept, remarked on, and heard meanwhile."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ondes
from ondes.files import file_sha256
from ondes.sidecar import Source as Recorded
from ondes.tasks.bench import Cancelled, Workbench
from ondes.tasks.task import Source, Task

if TYPE_CHECKING:
    import symusic.core
    from torch import nn

    from ondes.audio import Audio

Progress = Callable[[float, float], None]
PACKAGE = Path(ondes.__file__).parent


@contextmanager
def at_work(task: Task, sources: Mapping[str, Source], bench: Workbench, pipeline: Any) -> Iterator[Progress]:
    """A pipeline at work on a task.

    Every network asks before each of its evaluations whether to go on, by hooks that are gone afterwards; what is
    finished goes through the journal.

    Yields:
        What the pipeline tells its progress.

    Raises:
        Cancelled: Within, as soon as the bench says so.
    """
    from ondes.diffusion.sampling import results_kept  # noqa: PLC0415
    from ondes.tasks.journal import Journal  # noqa: PLC0415

    def ask(*_: object) -> None:
        if bench.cancelled():
            raise Cancelled

    def progress(done: float, total: float) -> None:
        ask()
        bench.progress(done, total)

    ask()
    with ExitStack() as stack:
        for module in entrances(pipeline):
            stack.callback(module.register_forward_pre_hook(ask).remove)
        if bench.journal is not None:
            stack.enter_context(results_kept(Journal(bench.journal, fingerprint(task, sources, pipeline))))
        yield progress
        ask()


def entrances(pipeline: Any) -> list[nn.Module]:
    """Where an evaluation of a pipeline's networks may begin: each network and its direct parts.

    Some networks are asked through their parts, as one that encodes once and denoises often.
    """
    from torch import nn  # noqa: PLC0415

    inner = getattr(pipeline, "pipeline", pipeline)
    found: dict[int, nn.Module] = {}
    waiting = [one for one in getattr(inner, "components", {}).values() if isinstance(one, nn.Module)]
    for network in waiting:
        found[id(network)] = network
        for part in network.children():
            several = part.children() if isinstance(part, nn.ModuleList | nn.ModuleDict) else [part]
            found |= {id(one): one for one in several}
    return list(found.values())


def fingerprint(task: Task, sources: Mapping[str, Source], pipeline: Any) -> str:
    """Of all that decides what a task makes."""
    import torch  # noqa: PLC0415

    inputs = sorted(task.references())
    options = task.model_dump_json(exclude=set(inputs))
    told = [options, pipeline.model_hash, str(torch.get_num_threads())]
    told += [f"{name} {file_sha256(sources[name].path)}" for name in inputs]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def opened(source: Source, odd: list[str]) -> symusic.core.ScoreTick:
    """A score; what had to be repaired joins what is odd.

    Raises:
        UserError: If it cannot be read as a score.
    """
    from ondes.score import read_score_with_report  # noqa: PLC0415

    score, report = read_score_with_report(source.path)
    if report:
        odd.append(str(report))
    return score


def recorded(source: Source) -> Recorded:
    """How a record names an input."""
    return Recorded(source.name, file_sha256(source.path))


def heard(blocks: Iterator[Audio], on_block: Callable[[Audio], None] | None) -> Iterator[Audio]:
    """The blocks, each of which goes to a listener, too."""
    for block in blocks:
        if on_block is not None:
            on_block(block)
        yield block


@contextmanager
def remarks() -> Iterator[list[str]]:
    """What ondes warns of within, here: its logs and warnings, as sentences, each once."""
    found: list[str] = []
    handler = _Remarks(found)
    log = logging.getLogger("ondes")
    log.addHandler(handler)
    token = _remarked.set(found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            elsewhere = warnings.showwarning

            def show(message: Any, category: Any, filename: str, *rest: Any) -> None:
                if PACKAGE in Path(filename).parents:
                    handler.take(str(message))
                else:
                    elsewhere(message, category, filename, *rest)

            warnings.showwarning = show
            yield found
    finally:
        _remarked.reset(token)
        log.removeHandler(handler)


_remarked: ContextVar[list[str] | None] = ContextVar("_remarked", default=None)


class _Remarks(logging.Handler):
    """Takes what is logged where the list is the one in use: in this thread, and in those that work for it."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message that belongs here."""
        if _remarked.get() is self.found:
            self.take(record.getMessage())

    def take(self, message: str) -> None:
        """Take a message that is new."""
        if message not in self.found:
            self.found.append(message)
