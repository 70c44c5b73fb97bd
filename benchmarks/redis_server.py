"""A Redis server of one's own, for the peers that need a broker."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time

MISSING = "redis-server is not installed"


def is_missing() -> bool:
    """Whether there is none."""
    return shutil.which("redis-server") is None


class RedisServer:
    """Keeps everything in memory; `stop` ends it."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        until = time.monotonic() + 10.0
        while not self._answers():
            if time.monotonic() > until:
                raise TimeoutError("redis-server does not answer")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()
