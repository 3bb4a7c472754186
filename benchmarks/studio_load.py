"""Many clients of one `ondes serve` at once: is a job lost or done twice, and does the server still answer?

Each client sends short jobs one after the other, follows each to its end by server-sent events and looks at its files.
Jobs with the same seed must give the same bytes. Afterwards the database says what became of every job. Another process
asks /healthz ten times a second. With --kill the server dies in the middle (SIGKILL) and is started again.

    python benchmarks/studio_load.py --minutes 10
    python benchmarks/studio_load.py --minutes 10 --kill
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from ondes.scores.notation import Page, to_midi
from ondes.studio.client import Client, StudioError
from ondes.studio.serving import listen
from ondes.tasks import Separate, Task

SEEDS = 5
"""Different jobs; results of equal ones are compared."""

SCORE = "short.mid"
PROBE_S = 0.1
PATIENCE_S = 900.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument(
        "--queue", type=int, default=64, help="below the number of clients some are sent away (503)"
    )
    parser.add_argument(
        "--kill", action="store_true", help="kill -9 the server in the middle, and start it again"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Served(Path(folder), options), options.clients)
        load.run(options.minutes * 60, kill=options.kill)
        load.report(options)


class Served:
    """`ondes serve` in a folder of its own."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        # The system's own choice could be the near end of somebody's connection when the server is started again.
        with listen("127.0.0.1", random.randrange(20_000, 32_000)) as free:
            self.port = free.getsockname()[1]
        limits = {"rate": 0, "workers": options.workers, "threads": options.threads, "queue": options.queue}
        self.words = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start, and wait until it answers; seconds that took."""
        began_s = time.monotonic()
        command = [sys.executable, "-m", "ondes.cli.main", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, "--folder", str(self.folder), *self.words])
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/healthz", timeout=5)
                return time.monotonic() - began_s
            if self.process.poll() is not None:
                sys.exit("the server did not start")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in good order."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def resident_mb(self) -> float:
        """Memory of the server's process."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Seen:
    """What the clients saw, all of them together."""

    accepted: dict[str, int] = field(default_factory=dict)
    states: collections.Counter[str] = field(default_factory=collections.Counter)
    sums: dict[int, set[str]] = field(default_factory=lambda: collections.defaultdict(set))
    job_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    lost: list[str] = field(default_factory=list)


class Load:
    """Clients of one server."""

    def __init__(self, served: Served, clients: int) -> None:
        self.served = served
        self.clients = clients
        self.seen = Seen()
        self.over = threading.Event()
        self.memory_mb: list[float] = []
        self.restart_s: float | None = None
        self.score = ""
        short = Page("Piano")
        for beat in range(16):
            short.note(beat, 60 + beat, 0.9, 80)
        (served.folder / SCORE).write_bytes(to_midi([short], [(0.0, 120.0)]))
        self.probes_s: list[float] = []

    def run(self, duration_s: float, *, kill: bool) -> None:
        """Send jobs for so long, and wait for the last ones."""
        self.served.start()
        # The first job loads the model; it is no part of the load.
        with Client(self.served.url, patience_s=PATIENCE_S) as client:
            self.score = client.upload(self.served.folder / SCORE).id
            client.run(self.task(0))
        self.memory_mb.append(self.served.resident_mb())
        ours, theirs = multiprocessing.Pipe()
        prober = multiprocessing.get_context("spawn").Process(target=probe, args=(self.served.port, theirs))
        prober.start()
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        if kill:
            time.sleep(duration_s / 2)
            self.served.kill()
            self.restart_s = self.served.start()
        time.sleep(duration_s / 2 if kill else duration_s)
        self.over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        ours.send("stop")
        self.probes_s = ours.recv()
        prober.join()
        self.memory_mb.append(self.served.resident_mb())
        self.served.stop()

    def task(self, seed: int) -> Task:
        """A short job."""
        return Separate(score=self.score, into="string quartet", method="classifier", seed=seed)

    def client(self, number: int) -> None:
        """One job after the other, until it is over."""
        with Client(self.served.url, patience_s=PATIENCE_S) as client:
            asked = 0
            while not self.over.is_set():
                seed, asked = (number + asked) % SEEDS, asked + 1
                began_s = time.monotonic()
                try:
                    job = client.submit(self.task(seed))
                except StudioError:
                    self.seen.unanswered += 1  # the server is down: whether it took the job is not known
                    time.sleep(0.5)
                    continue
                self.seen.accepted[job.id] = seed
                self.follow(client, job.id, seed)
                self.seen.job_s.append(time.monotonic() - began_s)

    def follow(self, client: Client, job_id: str, seed: int) -> None:
        """Wait for a job and fetch its main result."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            try:
                job = client.wait(job_id)
                self.seen.states[job.state] += 1
                self.seen.sums[seed].add(job.files[0].sha256)
                return
            except StudioError as error:
                if error.status == 404:
                    break
                if error.status == 0 and "no answer" not in str(error):
                    self.seen.states[str(error)] += 1
                    return
                time.sleep(0.5)
        self.seen.lost.append(job_id)

    def report(self, options: argparse.Namespace) -> None:
        """Print what was found, by the clients and in the database."""
        jobs, results = _stored(self.served.folder)
        accepted = self.seen.accepted
        per_job = collections.Counter(job_id for job_id, _ in results)
        usual = statistics.mode(per_job.values())
        lost = [job for job in accepted if jobs.get(job) != "done"] + self.seen.lost
        rows = {
            "jobs accepted": len(accepted),
            "jobs in the database": len(jobs),
            "of these done": sum(state == "done" for state in jobs.values()),
            "lost": len(set(lost)),
            "with a result twice": sum(count > 1 for count in collections.Counter(results).values()),
            f"done with other than {usual} files": sum(
                per_job[job] != usual for job, state in jobs.items() if state == "done"
            ),
            "seeds with differing results": sum(len(sums) != 1 for sums in self.seen.sums.values()),
            "requests without an answer": self.seen.unanswered,
            "jobs a minute": f"{len(self.seen.job_s) / options.minutes:.0f}",
            "median s from request to result": f"{statistics.median(self.seen.job_s):.2f}",
            "/healthz asked": len(self.probes_s),
            "/healthz median ms": f"{1000 * statistics.median(self.probes_s):.1f}",
            "/healthz p95 ms": f"{1000 * statistics.quantiles(self.probes_s, n=20)[-1]:.1f}",
            "/healthz slowest ms": f"{1000 * max(self.probes_s):.1f}",
            "server's memory MB, before and after": " → ".join(f"{mb:.0f}" for mb in self.memory_mb),
            "s from kill to first answer": "-" if self.restart_s is None else f"{self.restart_s:.1f}",
        }
        print(
            f"{options.clients} clients, {options.minutes:g} minutes, {options.workers} workers, kill: {options.kill}\n"
        )
        print("| what | found |\n| --- | --- |")
        for name, value in rows.items():
            print(f"| {name} | {value} |")
        for state, number in self.seen.states.items():
            if state != "done":
                print(f"\n{number} times: {state}")


def probe(port: int, pipe: Connection) -> None:
    """Ask for a sign of life, ten times a second; times while the server was down are none of its answers."""
    found_s: list[float] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while not pipe.poll():
            began_s = time.perf_counter()
            with suppress(httpx.TransportError):
                client.get("/healthz").raise_for_status()
                found_s.append(time.perf_counter() - began_s)
            time.sleep(max(0.0, began_s + PROBE_S - time.perf_counter()))
    pipe.send(found_s)


def _stored(folder: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The state of each job, and the job and name of each result, as the database has them."""
    with closing(sqlite3.connect(folder / "studio.sqlite")) as database:
        jobs = dict(database.execute("SELECT id, state FROM job").fetchall())
        results = database.execute("SELECT job_id, name FROM file WHERE job_id IS NOT NULL").fetchall()
    return jobs, results


if __name__ == "__main__":
    main()
