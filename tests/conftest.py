"""Annotations are checked, draws are the same each time, and no test changes what later ones compute.

All tests together run on one worker a processor, each of which computes on one thread: two threads of torch wait for
each other in networks as small as ours, and share their processors with the other worker. Tests that are named on
the command line run in pytest's own process, which starts faster.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from annotations import check_annotations
from numeric_state import numeric_state

MOST_WORKERS = 4
"""Each holds torch, and up to a gigabyte."""

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch reads it when it loads, here and in programs of tests

check_annotations()

settings.register_profile("ondes", derandomize=True, deadline=None)
settings.load_profile("ondes")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many workers run the tests; with 0 they run in this process."""
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if named or processors == 1 else min(processors, MOST_WORKERS)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Garbage is not looked for among what modules leave behind: not while they load, and not in every search after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def tiny_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models under the bundled names, to be read only."""
    from tiny_model import save_tiny_shelf  # noqa: PLC0415 - loads torch

    return save_tiny_shelf(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def numbers_stay_the_same() -> Iterator[None]:
    """A test that leaves torch with other threads or another default type would change the sums of later tests."""
    before = numeric_state()
    yield
    after = numeric_state()
    assert not before or after == before, "this test changes how torch computes in the tests after it"
