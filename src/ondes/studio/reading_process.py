"""The process that reads what strangers upload: it forks a child for each file, with limits, and lives on.

`python -m ondes.studio.reading_process MODULE...` loads what reading needs, then takes one JSON object a line on its
standard input and answers with one a line, in the order in which the children end. A fork of a process that has all
loaded and runs no thread costs milliseconds; that is why this is no pool of the server, whose threads must not be
forked. Where there is no fork, a request is done in the process itself, and the server kills it if it takes too long.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ondes.errors import UserError

READINGS = {
    "inspect": ("ondes.studio.inspection", "inspect"),
    "notes": ("ondes.studio.views", "write_notes"),
    "peaks": ("ondes.studio.views", "write_peaks"),
    "sound": ("ondes.studio.views", "write_sound"),
    "mel": ("ondes.studio.views", "write_mel"),
    "roll": ("ondes.studio.views", "write_roll"),
}
"""What may be asked for: the only functions that a request can name."""

MOST_ANSWER_BYTES = 2**20
CAN_FORK = hasattr(os, "fork")


@dataclass
class Child:
    """One request being read, and the pipe on which its answer comes.

    Attributes:
        number: Of the request.
        process: Of the child, which leads a group of its own.
        pipe: Where the answer is read.
        end_s: When it is killed, on the monotonic clock.
        answer: What has come so far.
    """

    number: int
    process: int
    pipe: int
    end_s: float
    answer: bytearray = field(default_factory=bytearray)


def serve() -> None:
    """Answer until standard input ends."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    children: dict[int, Child] = {}
    pending, open_ = b"", True
    while open_:
        for key, _ in selector.select(_patience_s(children)):
            if key.fd != sys.stdin.fileno():
                _hear(children[key.fd], selector, children)
                continue
            data = os.read(key.fd, 65536)
            open_ = bool(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                child = _begun(json.loads(line), [one.pipe for one in children.values()])
                children[child.pipe] = child
                selector.register(child.pipe, selectors.EVENT_READ)
        for child in [child for child in children.values() if child.end_s < time.monotonic()]:
            _ended(child, selector, children, {"died": "time"})
    for child in children.values():
        _kill(child)


def _patience_s(children: dict[int, Child]) -> float | None:
    """How long nothing needs to be done by itself."""
    if not children:
        return None
    return max(0.0, min(child.end_s for child in children.values()) - time.monotonic()) + 0.001


def _begun(request: dict[str, Any], inherited: list[int]) -> Child:
    """Fork a child that reads."""
    source, sink = os.pipe()
    process = os.fork()
    if process == 0:
        for descriptor in (source, *inherited):
            os.close(descriptor)
        _read_in_child(request, sink)
    os.close(sink)
    return Child(request["number"], process, source, time.monotonic() + request["wall_s"])


def _read_in_child(request: dict[str, Any], sink: int) -> None:
    """Be the child: limits first, then the reading, then the answer; never return."""
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        _limit(request["wall_s"], request["memory_bytes"])
        answer = json.dumps(_answer(request)).encode()
        while answer:
            answer = answer[os.write(sink, answer) :]
    finally:
        os._exit(0)


def _limit(cpu_s: float, memory_bytes: int) -> None:
    """From here on no more time and memory than this; what is loaded already does not count."""
    import resource  # noqa: PLC0415

    for number in (signal.SIGXCPU, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    # Who forked it ends it at that time; this holds even if that process is gone.
    signal.setitimer(signal.ITIMER_REAL, cpu_s + 1)
    limits = {resource.RLIMIT_CPU: int(cpu_s) + 1, resource.RLIMIT_CORE: 0}
    with suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as statm:
        limits[resource.RLIMIT_AS] = int(statm.read().split()[0]) * resource.getpagesize() + memory_bytes
    for what, soft in limits.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; every exception is an answer."""
    try:
        module, function = READINGS[request["what"]]
        return {"value": getattr(importlib.import_module(module), function)(**request["arguments"])}
    except UserError as error:
        # Where files lie is nobody's business.
        return {"refused": str(error).replace(request["arguments"]["path"], request["name"])}
    except MemoryError:
        return {"died": "memory"}
    except Exception as error:
        # numpy and libsndfile say that memory is short in their own ways.
        short = "alloc" in str(error).lower() or "memory" in str(error).lower()
        return {"died": "memory" if short else f"{type(error).__name__}: {error}"[:500]}


def _hear(child: Child, selector: selectors.BaseSelector, children: dict[int, Child]) -> None:
    """Take what a child says; at the end of its pipe it is over."""
    data = os.read(child.pipe, 65536)
    child.answer += data
    if data and len(child.answer) <= MOST_ANSWER_BYTES:
        return
    try:
        answer = json.loads(child.answer)
    except ValueError:
        answer = {"died": "crash"}
    _ended(child, selector, children, answer)


def _ended(
    child: Child, selector: selectors.BaseSelector, children: dict[int, Child], answer: dict[str, Any]
) -> None:
    """See a child off, and answer for it."""
    selector.unregister(child.pipe)
    os.close(child.pipe)
    del children[child.pipe]
    _kill(child)
    _say(child.number, answer)


def _kill(child: Child) -> None:
    """End a child and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(child.process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child.process, 0)


def _say(number: int, answer: dict[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(answer | {"number": number}).encode() + b"\n")


def serve_without_fork() -> None:
    """Answer one request after another in this process."""
    for line in sys.stdin:
        request = json.loads(line)
        _say(request["number"], _answer(request))


def main(modules: list[str]) -> None:
    """Load what is needed, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    serve() if CAN_FORK else serve_without_fork()


if __name__ == "__main__":
    main(sys.argv[1:])
