"""`ondes studio`: the page, and the API that it speaks to, on one address."""

from __future__ import annotations

import typer

from ondes.cli.serve import (
    GIB,
    HOUR_S,
    MIB,
    AudioOption,
    FolderOption,
    HostOption,
    KeepOption,
    ModelsOption,
    NamesOption,
    NotesOption,
    PortOption,
    QueueOption,
    RateOption,
    StorageOption,
    ThreadsOption,
    TokenOption,
    UploadOption,
    WallOption,
    WorkersOption,
    need_extra,
    open_security,
    open_settings,
    run_server,
)
from ondes.errors import UserError


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Open the studio: a page in the browser, and its API.")(studio)


def studio(
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
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
    """Open the studio: compose, separate, synthesise and edit with the mouse, and hear it while it is made."""
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
    need_page()
    from ondes.studio.api import create_app  # noqa: PLC0415
    from ondes.studio.page_server import mount  # noqa: PLC0415
    from ondes.studio.service import Studio  # noqa: PLC0415

    service = Studio(settings)
    app = create_app(service, security)
    mount(app, service)
    run_server(app, host, port, what="the studio")


def need_page() -> None:
    """Refuse to go on without the libraries of the page.

    Raises:
        UserError: If one is missing.
    """
    need_extra()
    import importlib.util  # noqa: PLC0415

    if importlib.util.find_spec("gradio") is None:
        raise UserError("the studio's page needs gradio: install it with pip install 'ondes[studio]'")
