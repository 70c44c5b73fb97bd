"""A page of shared memory in which a local worker notes what it runs.

What a process says just before it dies is lost in ZeroMQ's thread; what it wrote to shared memory is not. So the one
task that killed it can be told from those that merely waited there.
"""

from __future__ import annotations

import mmap
import os

PAGE = 4096
SEAT = 64
SEATS = PAGE // SEAT
_ERROR = 255


class Notebook:
    """The pages of all local workers, in one anonymous file that parent and children map."""

    def __init__(self, pages: int = 4096) -> None:
        if hasattr(os, "memfd_create"):
            self.fd = os.memfd_create("callboard", os.MFD_CLOEXEC)
        else:
            import tempfile

            self.fd, path = tempfile.mkstemp(prefix="callboard-")
            os.unlink(path)
        os.ftruncate(self.fd, pages * PAGE)  # sparse: a page costs memory when it is first written
        self._map = mmap.mmap(self.fd, pages * PAGE)
        self._free = list(range(pages - 1, -1, -1))

    def take(self) -> int:
        """The number of a clean page."""
        page = self._free.pop()
        self._map[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        return page

    def give_back(self, page: int) -> None:
        """The page's worker is gone and its note was read."""
        self._free.append(page)

    def running(self, page: int) -> list[bytes]:
        """The (beginnings of the) ids of the tasks that the page's worker runs, as it noted last."""
        start = page * PAGE
        found = []
        for seat in range(start, start + PAGE, SEAT):
            length = self._map[seat]
            if 0 < length < SEAT:
                found.append(bytes(self._map[seat + 1 : seat + 1 + length]))
        return found

    def begun(self, page: int) -> bool:
        """Whether the page's worker has begun any task."""
        start = page * PAGE
        return self._map[start] != _ERROR and any(self._map[start : start + SEAT])  # the first seat is the first to be taken

    def error(self, page: int) -> str | None:
        """Why the worker could not start, if it noted that."""
        start = page * PAGE
        if self._map[start] != _ERROR:
            return None
        length = int.from_bytes(self._map[start + 1 : start + 3], "little")
        return bytes(self._map[start + 3 : start + 3 + length]).decode("utf-8", "replace")

    def close(self) -> None:
        """Unmap and close."""
        self._map.close()
        os.close(self.fd)


class Note:
    """A worker's own page."""

    def __init__(self, fd: int, page: int) -> None:
        self._map = mmap.mmap(fd, PAGE, offset=page * PAGE)

    def begin(self, seat: int, task_id: str) -> None:
        """The slot begins a task."""
        if seat < SEATS:
            data = task_id.encode()[: SEAT - 1]
            start = seat * SEAT
            self._map[start + 1 : start + 1 + len(data)] = data
            self._map[start] = len(data)  # last, so that a half-written id is never read

    def end(self, seat: int) -> None:
        """The slot has ended it."""
        if seat < SEATS:
            self._map[seat * SEAT] = 0

    def fail(self, text: str) -> None:
        """The worker cannot start."""
        data = text.encode("utf-8", "replace")[: PAGE - 3]
        self._map[3 : 3 + len(data)] = data
        self._map[1:3] = len(data).to_bytes(2, "little")
        self._map[0] = _ERROR


class NoNote:
    """For a remote worker, whose memory nobody else sees."""

    def begin(self, seat: int, task_id: str) -> None:
        """Nothing to note."""

    def end(self, seat: int) -> None:
        """Nothing to note."""
