"""``python -m callboard``: the command line."""

from __future__ import annotations

from callboard.playground.command import main

main()
