"""What is special about the Redis store: durability, and a server that goes away."""

from __future__ import annotations

import pytest

from callboard.messages.errors import StoreUnavailable
from callboard.state.address import open_store
from tests.state.server import RedisServer, wipe_redis


def test_a_durable_server_killed_and_started_again_has_everything(redis_server: RedisServer) -> None:
    wipe_redis(redis_server)
    store = open_store(redis_server.url)
    version = store.put("k", b"1")
    with redis_server.down():
        for use in (lambda: store.get("k"), lambda: store.scan(), lambda: store.put("k", b"2")):
            with pytest.raises(StoreUnavailable, match="refuses"):
                use()
    record = store.get("k")
    assert record is not None and (record.value, record.version) == (b"1", version)
    store.put("k", b"3", version)
    store.close()


def test_databases_of_one_server_are_apart(redis_server: RedisServer) -> None:
    wipe_redis(redis_server)
    first, second = open_store(redis_server.url), open_store(redis_server.url[:-1] + "1")
    first.put("k", b"1")
    assert second.get("k") is None
    first.close()
    second.close()


def test_a_server_that_loses_its_scripts_is_told_them_again(redis_server: RedisServer) -> None:
    import redis

    wipe_redis(redis_server)
    store = open_store(redis_server.url)
    store.put("k", b"1")
    with redis.Redis.from_url(redis_server.url) as client:
        client.script_flush()
    store.put("k", b"2")
    assert [record.value for record in store.scan()] == [b"2"]
    store.close()
