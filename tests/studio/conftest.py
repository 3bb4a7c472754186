"""The real studio in a process of its own, and Debian's Chromium in front of its page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from page_bench import CHROMIUM, PATIENCE_MS, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def studio_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `ondes studio` says it is."""
    folder = tmp_path_factory.mktemp("studio")
    words = [sys.executable, "-m", "ondes.cli.main", "studio", "--port", "0", "--threads", "1", "--rate", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "300"}
    with subprocess.Popen(
        [*words, "--folder", str(folder)],
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        try:
            assert found, line + process.stdout.read()
            yield found[0]
        finally:
            process.terminate()
            said = process.stdout.read()
            process.wait(PATIENCE_MS / 1000)
    assert said == "", "the studio says where it is, and nothing else"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; sounds may begin without a click, as tests call some functions by name."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tools:
        opened = tools.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
            timeout=PATIENCE_MS,
        )
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, studio_url: str) -> Iterator[Visit]:
    """A person who has just opened the page."""
    opened = Visit.begin(browser, studio_url, viewport={"width": 1200, "height": 1000})
    yield opened
    opened.end()
