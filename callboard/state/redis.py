"""State in a Redis server: two hashes and a sorted set, written by one script that runs as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from callboard.messages.errors import InvalidSetting, MissingExtra, StoreUnavailable
from callboard.state.address import without_password
from callboard.state.store import Change, Put, Record, Store, check_changes, check_key, conflict, fresh_version, scan_range

if TYPE_CHECKING:
    from redis import Redis

# In one slot, so that a cluster can run the scripts.
KEYS = ("{callboard}:values", "{callboard}:versions", "{callboard}:keys")

TIMEOUT = 30.0
"""How long an answer of the server is waited for, in seconds."""

# ARGV: the new version, then key, expected ('' for any) and the letter and value of each change.
_TRANSACT = """
for at = 2, #ARGV, 4 do
    if ARGV[at + 1] ~= '' and (redis.call('HGET', KEYS[2], ARGV[at]) or '0') ~= ARGV[at + 1] then
        return (at - 2) / 4
    end
end
for at = 2, #ARGV, 4 do
    local key = ARGV[at]
    if ARGV[at + 2] == 'P' then
        redis.call('HSET', KEYS[1], key, ARGV[at + 3])
        redis.call('HSET', KEYS[2], key, ARGV[1])
        redis.call('ZADD', KEYS[3], 0, key)
    else
        redis.call('HDEL', KEYS[1], key)
        redis.call('HDEL', KEYS[2], key)
        redis.call('ZREM', KEYS[3], key)
    end
end
return -1
"""

# ARGV: the bounds as ZRANGEBYLEX has them, and how many at most (-1: all).
_SCAN = """
local keys = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = {}
for at, key in ipairs(keys) do
    found[3 * at - 2] = key
    found[3 * at - 1] = redis.call('HGET', KEYS[1], key)
    found[3 * at] = redis.call('HGET', KEYS[2], key)
end
return found
"""

Result = TypeVar("Result")


class RedisStore(Store):
    """Keeps all records under three keys of one Redis database. Made by `open_redis`.

    A server keeps what it was told in memory. What outlives a crash of the server is as its configuration says: without
    ``appendonly yes`` what came since the last snapshot is lost, with it at most the last second, and nothing with
    ``appendfsync always``. ``maxmemory-policy`` must be ``noeviction``, or the server may throw records away.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._transact = client.register_script(_TRANSACT)
        self._scan = client.register_script(_SCAN)
        self._closed = False

    def get(self, key: str) -> Record | None:
        check_key(key)

        def read() -> Record | None:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hget(KEYS[0], key)
                pipeline.hget(KEYS[1], key)
                value, version = pipeline.execute()
            return None if value is None else Record(key, value, int(version))

        return self._attempt(read)

    def scan(self, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[Record]:
        low, high = scan_range(prefix, after, limit)
        bounds: list[str | int] = ["[" + low, "+" if high is None else "(" + high, -1 if limit is None else limit]
        found = self._attempt(lambda: self._scan(KEYS, bounds))
        return [Record(found[at].decode(), found[at + 1], int(found[at + 2])) for at in range(0, len(found), 3)]

    def transact(self, changes: Sequence[Change]) -> int:
        check_changes(changes)
        version = fresh_version()
        words: list[Any] = [version]
        for change in changes:
            expected = "" if change.expected is None else change.expected
            words += (change.key, expected, "P", change.value) if isinstance(change, Put) else (change.key, expected, "D", b"")
        refused = self._attempt(lambda: self._transact(KEYS, words))
        if refused >= 0:
            raise conflict(changes[refused].key, changes[refused].expected or 0)
        return version

    def close(self) -> None:
        self._closed = True
        self._client.close()

    def _attempt(self, work: Callable[[], Result]) -> Result:
        from redis.exceptions import RedisError

        if self._closed:
            raise StoreUnavailable("the Redis store is closed")
        try:
            return work()
        except RedisError as error:
            raise StoreUnavailable(f"the Redis store refuses: {error}") from error


def open_redis(url: str) -> RedisStore:
    """The store in the Redis database that ``url`` names: ``redis://host:port/number``, or ``rediss://`` for TLS."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise MissingExtra("redis", "redis") from error
    try:
        parts = urlsplit(url)
        if not re.fullmatch(r"/?[0-9]*", parts.path) or not parts.hostname:  # the client would take database 0
            raise ValueError
        # The client would by itself say a script again whose answer was lost; it may have been carried out.
        client = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=10.0, retry=Retry(NoBackoff(), 0))
    except ValueError:
        raise InvalidSetting(f"{without_password(url)!r} is no URL of a Redis database (redis://host:port/number)") from None
    store = RedisStore(client)
    try:
        store._attempt(client.ping)
    except StoreUnavailable:
        store.close()
        raise
    return store
