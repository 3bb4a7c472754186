"""The queue in SQLite: each job is taken once, ends once, and no more wait than may."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ondes.studio.store import FINAL, File, Job, NotFound, QueueFull, Store, new_id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.create()
    yield store
    store.close()


def enqueue(store: Store, number: int = 1, limit: int = 1000) -> list[Job]:
    jobs = [Job(kind="tone", options="{}") for _ in range(number)]
    for job in jobs:
        store.enqueue(job, limit=limit, workers=1, resume=True)
    return jobs


def claim(store: Store, worker: str = "w") -> Job:
    job = store.claim(worker, resume=True)
    assert job is not None
    return job


def result(job: Job) -> File:
    return File(job_id=job.id, name="a.wav", kind="audio", media_type="audio/wav", bytes=1, sha256="0")


def in_threads(work: Callable[[int], None], number: int = 4) -> None:
    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_workers_take_each_job_once_and_the_oldest_first(store: Store) -> None:
    jobs = enqueue(store, 40)
    taken: list[str] = []

    def work(index: int) -> None:
        while (job := store.claim(f"w{index}", resume=True)) is not None:
            taken.append(job.id)
            assert store.finish(job.id, f"w{index}", [result(job)])

    in_threads(work)
    assert Counter(taken) == Counter({job.id: 1 for job in jobs})
    assert store.counts()["done"] == 40
    assert all(len(store.files.of_job(job.id)) == 1 for job in jobs)
    first, second = enqueue(store, 2)
    assert [claim(store).id, claim(store).id] == [first.id, second.id]


def test_the_queue_is_bounded_though_many_knock_at_once(store: Store) -> None:
    refused = []

    def knock(_: int) -> None:
        for _ in range(5):
            try:
                enqueue(store, limit=7)
            except QueueFull as full:
                refused.append(full)

    in_threads(knock)
    assert store.counts()["queued"] == 7
    assert len(refused) == 13
    assert all(1 <= full.retry_after_s <= 300 for full in refused)
    claim(store)
    enqueue(store, limit=7)


def test_how_long_to_wait_follows_what_jobs_take(store: Store) -> None:
    for job in enqueue(store, 3):
        claim(store)
        store.finish(job.id, "w", [])
    with store.writing() as session:
        for job in store.jobs():
            job.started_at, job.finished_at = 100.0, 140.0
            session.merge(job)
    enqueue(store)
    with pytest.raises(QueueFull, match="1 jobs wait already; try again in 40 s") as full:
        enqueue(store, limit=1)
    assert full.value.retry_after_s == 40


def test_a_worker_that_lost_its_job_ends_nothing(store: Store) -> None:
    (job,) = enqueue(store)
    claim(store, "first")
    store.release("first", "it died", attempts=3)
    assert claim(store, "second").attempts == 2
    assert not store.finish(job.id, "first", [result(job)])
    assert not store.give_up(job.id, "first", "failed", "no")
    assert not store.progress(job.id, "first", 1, 2, None)
    assert store.cancel_wanted(job.id, "first")
    assert not store.cancel_wanted(job.id, "second")
    assert store.files.of_job(job.id) == []
    assert store.finish(job.id, "second", [result(job)])
    assert not store.finish(job.id, "second", [result(job)])
    assert len(store.files.of_job(job.id)) == 1


def test_a_job_is_begun_three_times_then_fails_with_a_sentence(store: Store) -> None:
    (job,) = enqueue(store)
    for _ in range(2):
        claim(store)
        (now,) = store.release("w", "the worker died in the middle of the job", attempts=3)
        assert now.state == "interrupted"
        assert str(now.error).endswith("it goes on from what was finished")
    claim(store)
    store.release("w", "the worker died in the middle of the job", attempts=3)
    now = store.job(job.id)
    assert (now.state, now.attempts) == ("failed", 3)
    assert str(now.error).startswith("the worker died in the middle of the job, 3 times; ask for less")
    assert store.claim("w", resume=True) is None


def test_a_worker_that_stops_in_good_order_has_not_tried_in_vain(store: Store) -> None:
    (job,) = enqueue(store)
    for _ in range(5):
        claim(store)
        assert store.give_up(job.id, "w", "interrupted", "stopped")
    assert store.job(job.id).attempts == 0
    assert store.claim("w", resume=False) is None
    store.requeue(job.id)
    assert store.job(job.id).state == "queued"


@pytest.mark.parametrize("state", FINAL)
def test_nothing_moves_a_final_job(store: Store, state: str) -> None:
    (job,) = enqueue(store)
    claim(store)
    if state == "done":
        store.finish(job.id, "w", [])
    else:
        store.give_up(job.id, "w", state, None)
    before = store.job(job.id)
    store.request_cancel(job.id)
    store.requeue(job.id)
    store.release(None, "x", attempts=1)
    store.end(job.id, "failed", "x")
    store.give_up(job.id, "w", "cancelled", "x")
    store.abandon(2e10)
    assert store.claim("v", resume=True) is None
    assert store.job(job.id) == before
    assert before.state == state


def test_cancelling_ends_what_waits_and_asks_what_runs(store: Store) -> None:
    running, waiting = enqueue(store, 2)
    claim(store)
    for job in (running, waiting):
        store.request_cancel(job.id)
    assert store.job(waiting.id).state == "cancelled"
    assert store.job(running.id).state == "running"
    assert store.cancel_wanted(running.id, "w")
    store.release("w", "it died", attempts=3)
    assert store.job(running.id).state == "cancelled"


def test_a_file_says_that_it_has_expired_and_so_does_its_job(store: Store) -> None:
    (job,) = enqueue(store)
    claim(store)
    made, upload = result(job), File(name="b.mid", kind="score", media_type="x", bytes=5, sha256="0")
    made.expires_at, upload.expires_at = 100.0, 100.0
    store.finish(job.id, "w", [made])
    store.files.add(upload)
    assert store.files.stored_bytes() == 6
    assert {file.id for file in store.files.expired(101.0, spared=[upload.id])} == {made.id}
    store.files.mark_gone([made.id, upload.id])
    assert store.files.stored_bytes() == 0
    assert [file.gone for file in store.files.of_job(job.id)] == [True]
    assert "expired" in str(store.job(job.id).error)
    with pytest.raises(NotFound, match=r"a\.wav has expired and is deleted; run its job again"):
        store.files.get(made.id)
    with pytest.raises(NotFound, match=r"b\.mid has expired and is deleted; upload it again"):
        store.files.get(upload.id)
    with pytest.raises(NotFound, match="there is no file"):
        store.files.get(new_id())
    store.files.forget(2e10)
    with pytest.raises(NotFound, match="there is no job"):
        store.job(job.id)
    assert store.files.of_job(job.id) == []


def test_only_ids_are_looked_up(store: Store) -> None:
    (job,) = enqueue(store)
    for text in (
        "",
        "x" * 32,
        "\ud800",
        "0" * 31,
        job.id.upper().replace("0", "A"),
        "' OR 1=1 --",
        "\0" * 32,
    ):
        with pytest.raises(NotFound, match="there is no job"):
            store.job(text)
        with pytest.raises(NotFound, match="there is no file"):
            store.files.get(text)
    assert [found.id for found in store.jobs(2**70)] == [job.id]
