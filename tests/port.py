"""Ports to listen on."""

from __future__ import annotations

import itertools
import os
import socket

# Below those that the kernel gives to whoever connects, which could be taken again before the test listens there.
_first = 20_000 + os.getpid() % 100 * 100
_ports = itertools.cycle(range(_first, _first + 100, 2))
"""Pairs of ports that no process of tests shares with the next."""


def free_port() -> int:
    """A port that is free, and so is the next one, for events."""
    while True:
        found = next(_ports)
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", found))
                two.bind(("127.0.0.1", found + 1))
            except OSError:
                continue
            return found
