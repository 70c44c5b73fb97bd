"""Messages of several frames, through a socket and back.

What pyzmq does in general (it checks every part first, and makes objects of flags and options) takes longer than to send
or to receive a short message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq

COPIED = 64 * 1024
"""Frames of fewer bytes are copied, which takes less time than to make an object by which ZeroMQ's thread gives them back."""

# Plain numbers: with an enumeration's members each operation is several calls.
_AT_ONCE = int(zmq.DONTWAIT)
_AND_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_READABLE = int(zmq.POLLIN)


_send = zmq.backend.Socket.send
poll = zmq.backend.zmq_poll
"""Which of some sockets and descriptors, each with what is waited for, are ready: what a ``zmq.Poller`` calls."""


def send_frames(socket: zmq.Socket[bytes], frames: Sequence[Any]) -> None:
    """Send one message, or raise ``zmq.Again``: bytes, views of bytes, or frames that were received. The large are not copied."""
    for frame in frames[:-1]:
        _send(socket, frame, _AND_MORE, len(frame) < COPIED)
    last = frames[-1]
    _send(socket, last, _AT_ONCE, len(last) < COPIED)


def receive_frames(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """Receive one message, uncopied, or raise ``zmq.Again``."""
    receive = socket.recv
    frame = receive(_AT_ONCE, False)
    frames = [frame]
    while frame.more:
        frame = receive(_AT_ONCE, False)
        frames.append(frame)
    return frames


def has_more(socket: zmq.Socket[bytes]) -> bool:
    """Whether another message waits."""
    return bool(poll([(socket, _READABLE)], 0))
