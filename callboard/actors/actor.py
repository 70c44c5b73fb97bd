"""The base of our actors: a pykka actor whose mailbox is a poll."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import pykka
import zmq

from callboard.actors.mailbox import Mail, Mailbox
from callboard.messages.limit import MAX_FRAME

logger = logging.getLogger("callboard")


CROWD = 256
"""Items that wait for an actor and make who hands over more wait for it."""
TURN = 0.00005
TURNS = 20
"""How long, in seconds, and how often to wait for it at most."""


class SocketActor(pykka.ThreadingActor):
    """Opens its sockets in its own thread, receives `Mail`, and closes them however it ends.

    Subclasses override `open`, `receive`, `close` and, where they have timers, `next_deadline`.
    """

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.mailbox: Mailbox = self.actor_inbox  # type: ignore[assignment]
        """The inbox, as what it is."""
        self.opened: Future[None] = Future()
        """Done when `open` is; carries what it raised. (A failing ``on_start`` tells nobody otherwise.)"""
        self.thread_id: int | None = None
        self._thread: threading.Thread | None = None
        self._shut = False
        self.mailbox.deadline = self.next_deadline

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    @classmethod
    def launch(cls, *args: Any, **kwargs: Any) -> tuple[Self, pykka.ActorRef[Self]]:
        """Start the actor and wait until it is open; raises what `open` raised."""
        # What `start` does, but for keeping hold of the actor: its mailbox is posted to directly.
        actor = cls(*args, **kwargs)
        ref = actor.actor_ref
        pykka.ActorRegistry.register(ref)
        actor._start_actor_loop()
        try:
            actor.opened.result()
        except BaseException:
            ref.stop()
            raise
        return actor, ref

    def end(self, patience: float) -> bool:
        """Have the actor end, and wait for that at most ``patience`` seconds; False when it is kept by code that does not return.

        In the actor's own thread it only notes that it is to end.
        """
        if threading.get_ident() == self.thread_id:
            self.stop()
            return True
        until = time.monotonic() + patience
        try:
            self.actor_ref.stop(timeout=patience)
        except pykka.Timeout:
            return False
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))  # pykka's answer comes a little before the thread's end
        return True

    def hand(self, item: Any) -> None:
        """Post one of very many items. From any thread.

        A thread that does nothing but post keeps the interpreter to itself, for five milliseconds at a time, while what
        the actor feeds has nothing to do. So where many items have gathered it waits until the actor has taken them in.
        """
        mailbox = self.mailbox
        if mailbox.post(item) >= CROWD and threading.get_ident() != self.thread_id:
            for _ in range(TURNS):
                time.sleep(TURN)
                if len(mailbox) < CROWD:
                    break

    # -- for subclasses ---------------------------------------------------------------------

    def open(self) -> None:
        """Make sockets and watch them."""

    def receive(self, mail: Mail) -> None:
        """Deal with what has come; an empty mail means that a deadline has passed."""

    def close(self) -> None:
        """Close what `open` made; called once."""

    def next_deadline(self) -> float | None:
        """When `receive` should be called even if nothing comes, on the monotonic clock."""
        return None

    # -- pykka's hooks ----------------------------------------------------------------------

    def on_start(self) -> None:
        """Open, and tell who waits for it."""
        self._thread = threading.current_thread()
        self.thread_id = threading.get_ident()
        try:
            self.open()
        except BaseException as error:
            self._close_once()
            self.opened.set_exception(error)
        else:
            self.opened.set_result(None)

    def _handle_receive(self, message: Any) -> Any:
        """Pass mail on; a mistake in handling one message must not end the actor, and all that depend on it."""
        # Here and not in `on_receive`: pykka looks through its own kinds of messages first, of which mail is none.
        if type(message) is not Mail:
            return super()._handle_receive(message)  # type: ignore[no-untyped-call, unused-ignore]
        if not self._shut:  # else it stopped in another thread than the one that still had its hand in the mailbox
            self.work(message)
        return None

    def work(self, mail: Mail) -> None:
        """Deal with mail. In the actor's thread."""
        try:
            if mail.error is not None:
                raise mail.error
            self.receive(mail)
        except zmq.ContextTerminated:
            self.stop()
        except Exception:  # the actor's loop
            logger.exception("%s could not handle a message", type(self).__name__)
            time.sleep(0.001)  # so that an error that comes at once again does not take the whole machine

    def on_stop(self) -> None:
        """Close."""
        self._close_once()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close: pykka does not call ``on_stop`` after a failure."""
        self._close_once()

    def _close_once(self) -> None:
        if not self._shut:
            self._shut = True
            self.close()

    def _actor_loop_teardown(self) -> None:
        self.mailbox.close()
        super()._actor_loop_teardown()  # type: ignore[no-untyped-call, unused-ignore]


def new_socket(context: zmq.Context[Any], kind: int, *, prepare: Callable[[zmq.Socket[bytes]], None] | None = None) -> zmq.Socket[bytes]:
    """A socket with our bounds: it lingers briefly, takes no oversized frame and notices a silent peer in 1.5 s."""
    made: zmq.Socket[bytes] = context.socket(kind)
    made.linger = 500
    made.maxmsgsize = MAX_FRAME
    # The receiving side is not bounded: a full queue would keep ZeroMQ's thread from answering heartbeats, and a live
    # worker would be taken for lost. What is under way is bounded by credit instead.
    made.rcvhwm = 0
    made.sndhwm = 0
    made.heartbeat_ivl = 500
    made.heartbeat_timeout = 1500
    made.heartbeat_ttl = 1500
    made.reconnect_ivl = 100
    made.reconnect_ivl_max = 500
    if prepare is not None:
        prepare(made)
    return made
