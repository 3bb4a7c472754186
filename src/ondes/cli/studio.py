"""`ondes studio`: the page, and the API that it speaks to, on one address."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import typer

from ondes.cli.serve import need_extra, server_command
from ondes.errors import UserError

if TYPE_CHECKING:
    from ondes.studio.security import Security
    from ondes.studio.settings import StudioSettings


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(
        "studio",
        help="Open the studio: compose, separate, synthesise and edit with the mouse, and hear it while it is made.",
        short_help="Open the studio: a page in the browser, and its API.",
    )(server_command(7860, _page))


def _page(settings: StudioSettings, security: Security) -> tuple[object, str]:
    """The page and the API."""
    need_page()
    from ondes.studio.api import create_app  # noqa: PLC0415
    from ondes.studio.page_server import mount  # noqa: PLC0415
    from ondes.studio.service import Studio  # noqa: PLC0415

    studio = Studio(settings)
    app = create_app(studio, security)
    mount(app, studio)
    return app, "the studio"


def need_page() -> None:
    """Refuse to go on without the libraries of the page.

    Raises:
        UserError: If one is missing.
    """
    need_extra()
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the studio's page needs gradio: install it with pip install 'ondes[studio]'")
