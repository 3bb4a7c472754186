"""`app.py` as a Hugging Face Space starts it: the page answers by the Space's name, in a frame, and nobody else's."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from page_bench import CHROMIUM, needs_chromium
from served_app import free_port

from ondes.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
NAME = "somebody-ondes.hf.space"
SPACE = {
    "SPACE_ID": "somebody/ondes",
    "SPACE_HOST": NAME,
    "SYSTEM": "spaces",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_ANALYTICS_ENABLED": "True",
}
"""What the container of a Space with `sdk: gradio` has in its environment."""

PROXY = {
    "Host": NAME,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": NAME,
    "X-Forwarded-For": "203.0.113.9",
}
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a Space answers."""
    chosen = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "ONDES_TOKEN"} | SPACE
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment | {"GRADIO_SERVER_PORT": str(chosen), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{chosen}/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield chosen
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_space_answers_by_its_name_and_may_be_framed_by_the_hub_alone(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as http:
        page = http.get("/", headers=PROXY)
        assert page.status_code == 200
        assert "ondes" in page.text
        assert "http://somebody" not in page.text, "behind TLS a browser would refuse to load from there"
        policy = page.headers["content-security-policy"]
        assert policy.endswith("frame-ancestors https://huggingface.co")
        assert "x-frame-options" not in page.headers
        notes = http.get("/v1/files/example:prelude/notes", headers=PROXY)
        assert notes.status_code == 200
        assert len(notes.json()["notes"]) > 100
        assert http.get("/", headers=PROXY | {"Host": "evil.example"}).status_code == 421
        asked = {"duration_s": 500}
        long = http.post("/v1/generate", json=asked, headers=PROXY | {"Origin": f"https://{NAME}"})
        assert long.json() == {"detail": "the job makes 500 s of audio; 190 s are allowed, so ask for less"}


@pytest.mark.slow
@needs_chromium
def test_the_page_of_a_space_works_in_a_browser(port: int, browser: Browser) -> None:
    origin = f"http://{NAME}:{port}"
    # The Space's own name leads here, and is as good as with TLS.
    told = [
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"--unsafely-treat-insecure-origin-as-secure={origin}",
    ]
    told_so = browser.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", *told], timeout=1000 * PATIENCE_S
    )
    try:
        page = told_so.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.goto(f"{origin}/")
        page.wait_for_selector("ondes-job")
        complaints = list(errors)  # whatever is under way when the browser is closed fails
    finally:
        told_so.close()
    # Gradio's script asks the Hub about every name of this kind; our policy keeps it from that, and nothing is lost.
    assert [error for error in complaints if "huggingface.co/api/spaces/by-subdomain/" not in error] == []


def test_elsewhere_it_listens_to_others_only_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*SPACE, "ONDES_TOKEN", "PORT", "GRADIO_SERVER_PORT"]:
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("space_app", ROOT / "app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    begun: list[tuple[str, int]] = []

    class Silent:
        def __init__(self, _app: object, *, host: str, port: int) -> None:
            begun.append((host, port))

        def answer(self) -> None:
            """Answer nobody."""

    monkeypatch.setattr(app, "Server", Silent)
    monkeypatch.setattr(app, "build", lambda folder: folder)
    app.main()
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("PORT", "9000")
    with pytest.raises(UserError, match="lets other machines in"):
        app.main()
    monkeypatch.setenv("ONDES_TOKEN", "correct-horse-battery-staple")
    app.main()
    assert begun == [("127.0.0.1", 7860), ("0.0.0.0", 9000)]
