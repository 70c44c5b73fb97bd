"""How large what travels may be, in bytes."""

from __future__ import annotations

SLICE = 4 * 1024 * 1024
MAX_FRAME = 8 * 1024 * 1024
"""Frames above this are cut off at the receiving socket; nothing honest sends one."""
MAX_FRAMES = 2048
MAX_PIECES = 512
"""Slices of one value: buffers that would make more are put together first."""
MAX_PAYLOAD = 1024 * 1024 * 1024
"""Default limit of one value."""
LARGEST_PAYLOAD = MAX_PIECES * SLICE
"""The limit cannot be set higher."""
PORTION = 1024 * 1024
"""What one message may weigh (see `codec.weight`), so that neither its header nor the number of its frames grows too large."""
