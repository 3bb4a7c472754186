"""The studio as a Hugging Face Space (`sdk: gradio`, `app_file: app.py`, with `ondes[studio]`), or on this machine.

On a Space whoever may open the Space may use the studio, so limits are small; ONDES_TOKEN in its secrets asks for a
token, too. Elsewhere it listens on the loopback alone, as `ondes studio` does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fastapi import FastAPI

from ondes.studio.api import create_app
from ondes.studio.page_server import mount
from ondes.studio.security import Security
from ondes.studio.service import Studio
from ondes.studio.serving import Server
from ondes.studio.settings import MIB, StudioSettings

SPACE_HOST = os.environ.get("SPACE_HOST", "")
"""The Space's own name, as `user-name.hf.space`; empty elsewhere."""


def build(folder: Path) -> FastAPI:
    """Page and API, with room for short pieces."""
    settings = StudioSettings(
        folder,
        queue_limit=16,
        upload_bytes=16 * MIB,
        audio_s=190.0,
        notes=20_000,
        wall_s=600.0,
        keep_s=3600.0,
    )
    security = Security(
        token=os.environ.get("ONDES_TOKEN"),
        names=frozenset({SPACE_HOST.lower()} - {""}),
        framed_by=("https://huggingface.co",) if SPACE_HOST else (),
        # A Space's proxy sends everybody's requests from one address.
        requests_per_s=None if SPACE_HOST else 50.0,
    )
    studio = Studio(settings)
    app = create_app(studio, security)
    mount(app, studio)
    return app


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as kept:
        host = "0.0.0.0" if SPACE_HOST else "127.0.0.1"
        Server(build(Path(kept)), host=host, port=int(os.environ.get("PORT", "7860"))).answer()
