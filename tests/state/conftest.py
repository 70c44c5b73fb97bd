"""Every kind of store under one fixture, with real servers where a store needs one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.state.address import open_store
from callboard.state.store import Store
from tests.state.server import PostgresServer, RedisServer, serving, wipe_postgres, wipe_redis

SHARED = ("sqlite", "postgresql", "redis")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    yield from serving(RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    yield from serving(PostgresServer)


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of an empty store."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/state.db"
    if kind == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        wipe_postgres(postgres)
        return postgres.url
    if kind == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        wipe_redis(redis)
        return redis.url
    return "memory:"


@pytest.fixture(params=("memory", *SHARED))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of every kind."""
    opened = open_store(url_of(request.param, request, tmp_path))
    yield opened
    opened.close()


@pytest.fixture(params=SHARED)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store that several processes can use."""
    return url_of(request.param, request, tmp_path)
