"""The process in which verovio converts one score: MusicXML on standard input, MIDI on standard output.

Nothing of ondes is imported, so that it starts at once.
"""

from __future__ import annotations

import base64
import sys

MOST_MEMORY_BYTES = 4 * 2**30


def main() -> int:
    """Convert; the exit status."""
    import verovio  # noqa: PLC0415

    _limit_memory()
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"breaks": "none"})
    toolkit.setInputFrom("musicxml")
    if not toolkit.loadData(sys.stdin.buffer.read().decode()):
        return 1
    sys.stdout.buffer.write(base64.b64decode(toolkit.renderToMIDI()))
    return 0


def _limit_memory() -> None:
    """What this process may allocate from now on, where the system can say so."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (soft, hard, MOST_MEMORY_BYTES) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))


if __name__ == "__main__":
    sys.exit(main())
