"""`ondes serve`: the API of the studio, without its page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondes.cli.console import say
from ondes.errors import UserError

if TYPE_CHECKING:
    from ondes.studio.security import Security
    from ondes.studio.settings import StudioSettings

MIB, GIB, HOUR_S = 2**20, 2**30, 3600

HostOption = Annotated[
    str, typer.Option(help="Address to listen at; any but this machine's own loopback needs --token.")
]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]
FolderOption = Annotated[
    Path | None,
    typer.Option(help="Where jobs and files are kept. [default: the user's data folder]", show_default=False),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="ONDES_TOKEN",
        show_envvar=True,
        help="Secret that callers show; better in the environment, where other users do not see it.",
        show_default=False,
    ),
]
NamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="A host name by which the server may be called besides localhost and addresses; *.example.org for all "
        "under it. May be repeated.",
        show_default=False,
    ),
]
RateOption = Annotated[
    float,
    typer.Option(min=0, max=1e6, help="Requests a second for each client in the long run; 0 for any number."),
]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="Processes that run jobs.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads of each. [default: torch's choice]", show_default=False),
]
ModelsOption = Annotated[int, typer.Option(min=1, max=100, help="Models that each keeps in memory.")]
QueueOption = Annotated[int, typer.Option(min=1, max=100_000, help="Jobs that may wait; more are refused.")]
UploadOption = Annotated[
    float, typer.Option("--upload-mib", min=0.001, max=65536, help="Largest upload in MiB.")
]
AudioOption = Annotated[
    float, typer.Option("--audio-s", min=0.1, max=86_400, help="Longest audio in seconds.")
]
NotesOption = Annotated[int, typer.Option(min=1, max=10_000_000, help="Most notes in a score.")]
WallOption = Annotated[
    float, typer.Option("--wall-s", min=1, max=864_000, help="Longest run of a job in seconds.")
]
KeepOption = Annotated[
    float, typer.Option("--keep-h", min=0.001, max=87_600, help="Hours until files are deleted.")
]
StorageOption = Annotated[
    float, typer.Option("--storage-gib", min=0.001, max=1e6, help="Room for all files; the oldest go first.")
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(
        "serve",
        help="Serve the studio's API over HTTP; docs/studio.md describes it, and so does /openapi.json.",
        short_help="Serve the studio's API.",
    )(server_command(8000, _api))


def server_command(
    usual_port: int, build: Callable[[StudioSettings, Security], tuple[object, str]]
) -> Callable[..., None]:
    """A command that serves something of the studio until Ctrl-C, with the options of all such commands.

    Args:
        usual_port: Where nobody names one.
        build: Makes an ASGI application, and says in words what it is.
    """

    def command(
        *,
        host: HostOption = "127.0.0.1",
        port: PortOption = usual_port,
        folder: FolderOption = None,
        token: TokenOption = None,
        names: NamesOption = None,
        rate: RateOption = 50.0,
        workers: WorkersOption = 1,
        threads: ThreadsOption = None,
        models_in_memory: ModelsOption = 1,
        queue: QueueOption = 64,
        upload_mib: UploadOption = 64.0,
        audio_s: AudioOption = 600.0,
        notes: NotesOption = 100_000,
        wall_s: WallOption = 1800.0,
        keep_h: KeepOption = 24.0,
        storage_gib: StorageOption = 8.0,
    ) -> None:
        security = open_security(host, token, names, rate)
        settings = open_settings(
            folder,
            queue_limit=queue,
            workers=workers,
            models_in_memory=models_in_memory,
            threads=threads,
            upload_bytes=round(upload_mib * MIB),
            audio_s=audio_s,
            notes=notes,
            wall_s=wall_s,
            keep_s=keep_h * HOUR_S,
            storage_bytes=round(storage_gib * GIB),
        )
        app, what = build(settings, security)
        run_server(app, host, port, what=what)

    return command


def _api(settings: StudioSettings, security: Security) -> tuple[object, str]:
    """The API alone."""
    from ondes.studio.api import create_app  # noqa: PLC0415
    from ondes.studio.service import Studio  # noqa: PLC0415

    return create_app(Studio(settings), security), "the API"


def open_security(host: str, token: str | None, names: list[str] | None, rate: float) -> Security:
    """Who is answered.

    Raises:
        UserError: If others could reach the address without a token, or the extra is not installed.
    """
    need_extra()
    from ondes.studio.security import Security, check_address  # noqa: PLC0415

    check_address(host, token)
    known = {name.lower() for name in (*(names or ()), host)}
    return Security(token=token, names=frozenset(known), requests_per_s=rate or None)


def open_settings(folder: Path | None, **limits: float | None) -> StudioSettings:
    """What is allowed and where it is kept.

    Raises:
        UserError: If the extra is not installed.
    """
    need_extra()
    from ondes.studio.settings import StudioSettings, default_folder  # noqa: PLC0415

    return StudioSettings(folder or default_folder(), **limits)  # pyright: ignore[reportArgumentType]


def run_server(app: object, host: str, port: int, *, what: str) -> None:
    """Answer until Ctrl-C, and say where.

    Args:
        app: An ASGI application.
        host: Address to listen at.
        port: Of the address; 0 takes a free one.
        what: What is there, in words.
    """
    from ondes.studio.serving import Server  # noqa: PLC0415

    def ready() -> None:
        say(
            f"{what} is at {address(host, server.port)}; Ctrl-C stops it, and its jobs go on at the next start"
        )

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else every damaged form writes a line
    server = Server(app, host=host, port=port, ready=ready)  # pyright: ignore[reportArgumentType]
    server.answer()


def address(host: str, port: int) -> str:
    """The URL of a server, as people can open it here: one that listens everywhere is at the loopback, too."""
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{here}:{port}"


def need_extra() -> None:
    """Refuse to go on without the libraries of the studio.

    Raises:
        UserError: If one is missing.
    """
    try:
        import fastapi  # noqa: F401, PLC0415
        import prometheus_client  # noqa: F401, PLC0415
        import sqlmodel  # noqa: F401, PLC0415
        import sse_starlette  # noqa: F401, PLC0415
        import uvicorn  # noqa: F401, PLC0415
    except ImportError as error:
        raise UserError(
            f"the studio needs {error.name}: install it with pip install 'ondes[studio]'"
        ) from None
