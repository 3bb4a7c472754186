"""SQLite as several processes need it: readers and one writer at a time, who waits for the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from ondes.studio.tables import File, Job, SubmitKey

DATABASE = "studio.sqlite"
BUSY_S = 20.0
"""How long one who writes waits for another."""


class Database:
    """The database of one studio; every process opens its own.

    Args:
        folder: Where it is, or will be.
    """

    def __init__(self, folder: Path) -> None:
        self.engine = create_engine(
            f"sqlite:///{folder / DATABASE}",
            connect_args={"timeout": BUSY_S, "check_same_thread": False},
            pool_size=4,
            max_overflow=-1,
        )
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(writing=True)

    def create(self) -> None:
        """Make the tables that are not there yet."""
        SQLModel.metadata.create_all(self.engine, [_table(model) for model in (Job, File, SubmitKey)])

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that alone writes, and commits at its end unless an exception leaves it."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session


def _table(model: type[SQLModel]) -> Any:
    """SQLAlchemy's table of a model, an attribute that type checkers do not see."""
    return model.__table__  # pyright: ignore[reportAttributeAccessIssue]


def _prepare(connection: Any, _record: object) -> None:
    """A new connection: readers do not wait for writers, and we begin transactions, not the driver."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: Any) -> None:
    """Who will write says so at the start, and waits there: to find out later ends in 'database is locked'."""
    writes = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
