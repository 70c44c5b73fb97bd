"""What this process and all that came of it use of the machine."""

from __future__ import annotations

import os
from typing import NamedTuple, Self

import psutil


class Usage(NamedTuple):
    """Processes by id, the seconds that they have computed, and what they hold in memory."""

    processes: dict[int, psutil.Process]
    cpu_seconds: float
    resident_bytes: int

    @classmethod
    def now(cls) -> Self:
        """As it is."""
        me = psutil.Process()
        processes = {process.pid: process for process in (me, *me.children(recursive=True))}
        seconds = 0.0
        resident = 0
        for process in processes.values():
            times = process.cpu_times()
            seconds += times.user + times.system
            resident += process.memory_info().rss
        return cls(processes, seconds, resident)

    def proportional_bytes(self) -> int:
        """Memory, with what is shared divided among those who share it."""
        return sum(process.memory_full_info().pss for process in self.processes.values())

    def largest_growth(self, before: Usage, holder: int, held: int) -> int:
        """The peak of the process that grew most beyond what it had; ``holder`` had ``held`` bytes of it already."""
        found = 0
        for pid in self.processes:
            resident = before.processes[pid].memory_info().rss if pid in before.processes else 0
            growth = _peak(pid) - min(resident, _peak(pid))
            found = max(found, growth + (held if pid == holder else 0))
        return found


def _peak(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} tells no peak in {os.fspath('/proc')}")
