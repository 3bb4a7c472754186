"""What `/metrics` tells Prometheus: jobs, what they took and made, and how fast the server answers."""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ondes.studio.tables import FINAL

if TYPE_CHECKING:
    from ondes.studio.service import Studio
    from ondes.studio.tables import Job

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATEST = 1000
"""Jobs that are looked at for what became of them; far more than can end between two looks."""

JOB_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2000)
REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Figures of one server; those that count begin at 0 when it starts, as Prometheus expects.

    Workers are other processes, so what jobs took is read from the database: `look` counts those that have ended since
    it last looked.

    Args:
        studio: Whose jobs are counted.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.registry = CollectorRegistry()
        self.registry.register(_States(studio))
        self.ended = Counter(
            "ondes_jobs_ended", "Jobs that ended.", ["kind", "state"], registry=self.registry
        )
        self.took = Histogram(
            "ondes_job_seconds",
            "From begin to end of jobs that are done.",
            ["kind"],
            buckets=JOB_S,
            registry=self.registry,
        )
        self.audio = Counter(
            "ondes_audio_seconds", "Seconds of audio in results.", ["kind"], registry=self.registry
        )
        self.requests = Histogram(
            "ondes_request_seconds",
            "Until an answer begins.",
            ["method", "route", "status"],
            buckets=REQUEST_S,
            registry=self.registry,
        )
        self.in_flight = Gauge("ondes_requests_in_flight", "Requests being answered.", registry=self.registry)
        self._counted: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count no job that ended before now."""
        for job in self._ended():
            self._counted[job.id] = None

    def text(self) -> bytes:
        """All figures, in the format of Prometheus."""
        self.look()
        return generate_latest(self.registry)

    def look(self) -> None:
        """Count the jobs that have ended since the last time."""
        with self._lock:
            for job in self._ended():
                if job.id not in self._counted:
                    self._counted[job.id] = None
                    self._count(job)
            while len(self._counted) > 4 * LATEST:
                self._counted.popitem(last=False)

    def _ended(self) -> list[Job]:
        """Those of the latest jobs that have ended, the oldest first."""
        return [job for job in reversed(self.studio.jobs(LATEST)) if job.state in FINAL]

    def _count(self, job: Job) -> None:
        """Count one job."""
        self.ended.labels(job.kind, job.state).inc()
        if job.state != "done" or job.started_at is None or job.finished_at is None:
            return
        self.took.labels(job.kind).observe(job.finished_at - job.started_at)
        made = (file for file in self.studio.files_of(job.id) if file.kind == "audio")
        self.audio.labels(job.kind).inc(sum(file.duration_s or 0.0 for file in made))


class _States(Collector):
    """What is counted anew each time: jobs by state, and what the studio says of itself."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        counts = self.studio.counts()
        jobs = GaugeMetricFamily("ondes_jobs", "Jobs that have not ended.", labels=["kind", "state"])
        latest = self.studio.jobs(LATEST)
        for (kind, state), number in sorted(Tally((job.kind, job.state) for job in latest).items()):
            if state not in FINAL:
                jobs.add_metric([kind, state], number)
        yield jobs
        waiting = sum(counts.get(f"jobs_{state}", 0) for state in ("queued", "interrupted"))
        yield GaugeMetricFamily("ondes_queue_length", "Jobs that wait.", waiting)
        for name, value in sorted(counts.items()):
            yield GaugeMetricFamily(f"ondes_{name}", f"{name.replace('_', ' ').capitalize()}.", value)

    def describe(self) -> list[Metric]:
        """Nothing: the names follow from the studio, which may not have started yet."""
        return []


class Latency:
    """Measures each request from its head to the first byte of its answer.

    Args:
        app: What answers.
        metrics: Where it is counted, under the route's pattern: ids in labels would grow without bound.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                labels = _method(scope["method"]), _route(scope), str(message["status"])
                self.metrics.requests.labels(*labels).observe(time.perf_counter() - began_s)
            await send(message)

        with self.metrics.in_flight.track_inprogress():
            await self.app(scope, receive, send_timed)


def _route(scope: Scope) -> str:
    """The pattern of the route that answered; "other" for all that none did."""
    return getattr(scope.get("route"), "path", "other")


def _method(method: str) -> str:
    """A method; one that nobody knows would make labels without bound."""
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
