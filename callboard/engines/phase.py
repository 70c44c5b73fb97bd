"""What a run is doing."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What a run is doing, as `FlowRun.phases` tells it; the last word is the `FlowStatus`."""

    RESUMING = "resuming"
    SCHEDULING = "scheduling"
    WAITING = "waiting"
    ANALYZING = "analyzing"
