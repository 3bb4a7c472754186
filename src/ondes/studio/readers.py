"""Asking the reading process: what strangers upload is parsed there, and never in the server."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from ondes.errors import UserError

log = logging.getLogger(__name__)

LIGHT = (
    *("numpy.ma", "soundfile", "soxr", "symusic.core", "ondes.score", "ondes.representations.bar_table"),
    *("ondes.studio.inspection", "ondes.studio.views"),
)
"""What it takes to read files; loaded in a second."""

PICTURES = (*LIGHT, "torch", "matplotlib.figure", "matplotlib.backends.backend_agg", "ondes.picture")
"""What it takes to draw them; loaded when the first picture is asked for."""

AT_ONCE = 2
"""Files read at the same time; others wait."""

GRACE_S = 10.0
"""What the process itself may take beyond the limit of its children."""

START_S = 60.0
CLOSE_S = 2.0


class Readers:
    """Reads files in children of a process that is started when it is first needed.

    Args:
        modules: What that process loads.
        wall_s: Longest that a child may take.
        memory_bytes: Most memory that a child may take.
    """

    def __init__(self, modules: Sequence[str], *, wall_s: float, memory_bytes: int) -> None:
        self.wall_s, self.memory_bytes = wall_s, memory_bytes
        self.command = [sys.executable, "-m", "ondes.studio.reading_process", *modules]
        self._numbers = itertools.count()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._listener = threading.current_thread()
        self._asked: dict[int, tuple[subprocess.Popen[bytes], Future[dict[str, Any]]]] = {}

    def read(self, what: str, name: str, /, **arguments: Any) -> Any:
        """What the function of this name in `reading_process.READINGS` returns.

        Args:
            what: Its name.
            name: What messages call the file.
            arguments: What it is given, as JSON can hold it.

        Raises:
            UserError: If it refuses the file, or ends without an answer.
        """
        request = {
            **{"number": next(self._numbers), "what": what, "name": name, "arguments": arguments},
            **{"wall_s": self.wall_s, "memory_bytes": self.memory_bytes},
        }
        with self._room:
            answer = self._answer(request) or self._answer(request)
        answer = answer or {"died": "crash"}
        if "value" in answer:
            return answer["value"]
        if "refused" in answer:
            raise UserError(answer["refused"])
        log.info("%s: reading (%s) ended with %s", name, what, answer["died"])
        raise UserError(_sentence(name, answer["died"], self.wall_s))

    def warm(self) -> None:
        """Start the process now, so that the first file is not kept waiting."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """End the process, and the children with it; nothing is read any more."""
        with self._lock:
            process, self._process, self._closed = self._process, None, True
        if process is not None:
            assert process.stdin is not None
            # At the end of its input it ends its children, and then itself.
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            self._listener.join()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """One answer, or None if the process died, as when the machine is short of memory."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            process = self._running()
            self._asked[request["number"]] = process, future
            with suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
        try:
            return future.result(START_S + self.wall_s + GRACE_S)
        except TimeoutError:
            process.kill()
            return {"died": "time"}
        except ConnectionError:
            return None
        finally:
            self._asked.pop(request["number"], None)

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, begun anew if it is none."""
        if self._closed:
            raise UserError("the studio is ending and reads nothing any more; try again later")
        if self._process is None or self._process.poll() is not None:
            # Threads must not be forked, and reading needs none.
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | threads
            )
            self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
            self._listener.start()
        return self._process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Hand every answer to whoever waits for it; when there will be none any more, say so."""
        assert process.stdout is not None
        with suppress(ValueError, OSError):
            for line in process.stdout:
                answer = json.loads(line)
                _, future = self._asked.get(answer["number"], (process, Future()))
                future.set_result(answer)
        with self._lock:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not taken any more is lost
                    if pipe is not None:
                        pipe.close()
            for whose, future in list(self._asked.values()):
                if whose is process and not future.done():
                    future.set_exception(ConnectionError())


def _sentence(name: str, died: str, wall_s: float) -> str:
    """Why a file could not be read, for people."""
    if died == "time":
        return f"{name} takes more than {wall_s:g} s to read; give a shorter or simpler file"
    if died == "memory":
        return f"{name} takes more memory to read than is allowed; give a shorter or simpler file"
    return f"{name} cannot be read: it ends the program that reads it; export it again"
