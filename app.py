"""The studio as a Hugging Face Space (`sdk: gradio`, `app_file: app.py`, with `ondes[studio]`), or on this machine.

On a Space whoever may open the Space may use the studio, so limits are small; ONDES_TOKEN in its secrets asks for a
token, too. Elsewhere it listens on the loopback alone, as `ondes studio` does; GRADIO_SERVER_NAME and
GRADIO_SERVER_PORT (or PORT) say otherwise, and then it needs the token.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from fastapi import FastAPI

from ondes.errors import UserError
from ondes.studio.api import create_app
from ondes.studio.page_server import mount
from ondes.studio.security import Security, check_address
from ondes.studio.service import Studio
from ondes.studio.serving import Server
from ondes.studio.settings import MIB, StudioSettings

SPACE_HOST = os.environ.get("SPACE_HOST", "")
"""The Space's own name, as `user-name.hf.space`; empty elsewhere."""

ON_SPACE = bool(SPACE_HOST or os.environ.get("SPACE_ID"))
NAMES_OF_SPACES = "*.hf.space"


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
        names=frozenset({SPACE_HOST.lower(), NAMES_OF_SPACES} - {""}) if ON_SPACE else frozenset(),
        framed_by=("https://huggingface.co",) if ON_SPACE else (),
        # A Space's proxy sends everybody's requests from one address.
        requests_per_s=None if ON_SPACE else 50.0,
    )
    studio = Studio(settings)
    app = create_app(studio, security)
    mount(app, studio)
    return app


def main() -> None:
    """Answer until Ctrl-C.

    Raises:
        UserError: If others could reach the address without a token, or it cannot be had.
    """
    host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if ON_SPACE else "127.0.0.1")
    port = int(os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("PORT") or "7860")
    if not ON_SPACE:
        check_address(host, os.environ.get("ONDES_TOKEN"))
    with tempfile.TemporaryDirectory() as kept:
        Server(build(Path(kept)), host=host, port=port).answer()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"ondes: {error}")
