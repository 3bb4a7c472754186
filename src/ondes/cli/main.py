"""`ondes`: where the commands come together, and where errors turn into one line and an exit status.

Exit status: 0 done, 1 a comparison failed (`ondes replay`) or files of a batch did, 2 something typed or given cannot
be used, 130 stopped by Ctrl-C, 141 the reader of a stream went away, 143 terminated.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

import ondes
from ondes.cli.console import complain, routed_messages
from ondes.cli.threads import threads_given_back
from ondes.errors import UserError

COMMANDS = (
    "demo",
    "synth",
    "compose",
    "separate",
    "generate",
    "vary",
    "interpolate",
    "inpaint",
    "outpaint",
    "batch",
    "replay",
    "models",
    "serve",
    "studio",
    "train",
    "evaluate",
    "data",
    "import_",
    "export",
)
"""Modules of this package, each with `register(app)`; none imports anything heavy before it runs."""

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def build_app() -> typer.Typer:
    """The command line with every command on it."""
    app = typer.Typer(
        name="ondes",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in COMMANDS:
        importlib.import_module(f"ondes.cli.{name}").register(app)
    return app


@functools.cache
def _command_line() -> Callable[..., Any]:
    """The same, ready to run; a program that runs many commands waits once for it to be put together."""
    return typer.main.get_command(build_app())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    Args:
        arguments: The words after `ondes`; those of the process where None.

    Raises:
        SystemExit: Always.
    """
    with routed_messages(), threads_given_back():
        sys.exit(_status(list(sys.argv[1:] if arguments is None else arguments)))


def _status(arguments: list[str]) -> int:
    """Run the commands; any error that is not a defect of ours becomes a line on standard error."""
    try:
        _command_line()(args=arguments, prog_name="ondes")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if code == EXIT_INTERRUPTED:
            complain("stopped; nothing half-written is left")
        return code
    except UserError as error:
        complain(" ".join(str(error).split()))
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        complain("not enough memory; close other programs, or make less music at once")
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}")
    return EXIT_USER_ERROR


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out: torch says so with a plain RuntimeError on the CPU, and a kind of it on a GPU."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "allocate memory" in words


def _show_version(wanted: bool) -> bool:
    """Print the version and leave, before any command runs."""
    if wanted:
        print(f"ondes {ondes.__version__}")
        raise typer.Exit
    return wanted


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Play any MIDI file as 44.1 kHz stereo music with a diffusion model. Begin with `ondes demo`."""


if __name__ == "__main__":
    main()
