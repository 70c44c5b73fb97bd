"""An actor that runs what others must not be kept waiting by: done-callbacks and event handlers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from callboard.actors.actor import SocketActor
from callboard.actors.mailbox import Mail, Mailbox

logger = logging.getLogger("callboard")


class ErrandActor(SocketActor):
    """Runs the callables that are posted to it, in order. What they raise is logged and harms nothing."""

    def receive(self, mail: Mail) -> None:
        """Run them."""
        for errand in mail.items:
            try:
                errand()
            except Exception:  # the user's code
                logger.exception("a callback raised")


class Errands:
    """Starts an `ErrandActor` when it is first needed, since most scripts never do. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._actor: ErrandActor | None = None
        self._stopped = False

    def run(self, calls: Sequence[Callable[[], object]]) -> None:
        """Have these run in the errand thread, in order; after `stop` they run in the calling thread."""
        mailbox = self._mailbox()
        for call in calls:
            if mailbox is not None:
                mailbox.post(call)
            else:
                call()

    def _mailbox(self) -> Mailbox | None:
        if self._actor is None:
            with self._lock:
                if self._stopped:
                    return None
                if self._actor is None:
                    self._actor, _ = ErrandActor.launch()
        return self._actor.mailbox

    def settle(self, patience: float) -> bool:
        """Wait until what was posted before has run; False when it has not within ``patience`` seconds."""
        actor = self._actor
        if actor is None or actor.thread_id == threading.get_ident():
            return True
        done = threading.Event()
        actor.mailbox.post(done.set)
        return done.wait(patience)

    def stop(self, patience: float) -> bool:
        """Run what was posted, and end the thread; False when a callback does not return within ``patience`` seconds."""
        with self._lock:
            self._stopped = True
            actor, self._actor = self._actor, None
        return actor is None or actor.end(patience)
