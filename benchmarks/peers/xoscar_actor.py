"""The actor that runs functions for `benchmarks.peers.xoscar`."""

from __future__ import annotations

from typing import Any

import xoscar


class Runner(xoscar.Actor):  # type: ignore[misc]
    """Calls what it is given."""

    def run(self, function: Any, *args: Any) -> Any:
        """Call it."""
        return function(*args)
