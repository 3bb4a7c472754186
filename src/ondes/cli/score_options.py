"""Options that the commands which write scores share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
SynthOption = Annotated[str, typer.Option(metavar="MODEL", help="What plays with --audio.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="CPU threads. [default: 1; torch's choice for --audio]", show_default=False
    ),
]
