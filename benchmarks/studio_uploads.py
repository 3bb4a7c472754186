"""Malformed uploads to one `ondes serve`: does it crash, hang or keep anything?

Each upload is a score or a recording with bytes changed, cut off, repeated or made up, or a form that is none. Every
answer must be a file (some damage is repaired) or a refusal with one sentence, and memory must not grow.

    python benchmarks/studio_uploads.py --count 1000
"""

from __future__ import annotations

import argparse
import collections
import random
import statistics
import struct
import tempfile
import time
from pathlib import Path

import httpx
from studio_load import Served

from ondes.scores import bundled_score
from ondes.wav import wav_header

EXPECTED = {201, 400, 413, 415, 422}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.workers, options.threads, options.queue = 1, 1, 64
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder), options)
        served.start()
        found = send(served, options.count, options.seed)
        served.stop()
    statuses, took_s, memory_mb = found
    print(f"{options.count} malformed uploads, seed {options.seed}\n")
    print("| what | found |\n| --- | --- |")
    print(f"| answers by status | {', '.join(f'{status}: {n}' for status, n in sorted(statuses.items()))} |")
    print(
        f"| answers that should not be | {sum(n for status, n in statuses.items() if status not in EXPECTED)} |"
    )
    print(f"| median s | {statistics.median(took_s):.3f} |\n| slowest s | {max(took_s):.2f} |")
    for share in (0, 0.25, 0.5, 0.75, 1):
        print(f"| memory MB after {share:.0%} | {memory_mb[round(share * (len(memory_mb) - 1))]:.0f} |")


def send(served: Served, count: int, seed: int) -> tuple[collections.Counter[int], list[float], list[float]]:
    """Send so many uploads: statuses, seconds each took, and the server's memory after each."""
    draw = random.Random(seed)
    statuses: collections.Counter[int] = collections.Counter()
    took_s: list[float] = []
    memory_mb: list[float] = []
    with httpx.Client(base_url=served.url, timeout=120) as client:
        for _ in range(count):
            began_s = time.monotonic()
            answer = post(client, draw)
            took_s.append(time.monotonic() - began_s)
            statuses[answer.status_code] += 1
            if answer.status_code != 201:
                assert list(answer.json()) == ["detail"], answer.text
            memory_mb.append(served.resident_mb())
        client.get("/healthz").raise_for_status()
    return statuses, took_s, memory_mb


def post(client: httpx.Client, draw: random.Random) -> httpx.Response:
    """One malformed upload."""
    if draw.random() < 0.1:
        kind = draw.choice(
            ["multipart/form-data", "multipart/form-data; boundary=b", "application/json", "text/plain"]
        )
        form = draw.choice([b"", b"--b", b"--b\r\n\r\n--b--\r\n", draw.randbytes(500)])
        return client.post("/v1/files", content=form, headers={"Content-Type": kind})
    data, suffix = draw.choice(SOURCES)
    name = draw.choice(
        [f"a{suffix}", "a.mid", "a.wav", "../../a", "a\x00.mid", "\u202ea.mid", "a" * 5000, ""]
    )
    return client.post("/v1/files", files={"file": (name, damaged(data, draw))})


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes, in one of six ways wrong."""
    way = draw.randrange(6)
    if way == 0:
        return data[: draw.randrange(len(data))]
    if way == 1:
        changed = bytearray(data)
        for _ in range(draw.choice([1, 10, 1000])):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        return bytes(changed)
    if way == 2:
        at = draw.randrange(len(data))
        return data[:at] + draw.randbytes(draw.choice([1, 100, 100_000])) + data[at:]
    if way == 3:  # lengths that promise more than there is
        changed = bytearray(data)
        at = draw.randrange(4, min(60, len(data) - 4))
        changed[at : at + 4] = struct.pack(">I", draw.choice([0, 0x7FFFFFFF, 0xFFFFFFFF]))
        return bytes(changed)
    if way == 4:
        return data[: draw.randrange(4, 64)] * draw.choice([2, 5000])
    return data[: draw.choice([4, 12, 44])] + draw.randbytes(draw.choice([0, 10, 100_000]))


SOURCES = [
    (bundled_score("band").path.read_bytes(), ".mid"),
    (wav_header(44_100, 2) + bytes(range(256)) * 200, ".wav"),
    (b'<?xml version="1.0"?><score-partwise version="4.0"><part-list/></score-partwise>' * 3, ".musicxml"),
    (b"PK\x03\x04" + bytes(200), ".mxl"),
    (b"fLaC\x00\x00\x00\x22" + bytes(500), ".flac"),
    (b"OggS\x00\x02" + bytes(500), ".ogg"),
    (b"ID3\x04" + bytes(500), ".mp3"),
]
"""Whole files, and beginnings of such, with the suffixes of their names."""


if __name__ == "__main__":
    main()
