"""Settings of a playground: by argument, else by environment (``CALLBOARD_MAX_BACKLOG=...``), else the default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from callboard.actors.client import DEFAULT_BACKLOG
from callboard.messages.codec import LARGEST_PAYLOAD, MAX_PAYLOAD
from callboard.messages.errors import InvalidSetting


class Settings(BaseSettings):
    """What can be set of a playground. Sizes are bytes.

    ``max_backlog``: how many tasks of one client may be open; over it ``when_full`` says whether submitting waits or
    raises. ``max_payload``: the largest value that may travel. ``max_worker_deaths``: after how many deaths under it a
    task is given up. ``max_chain``: how often in a row listeners may start each other's tasks; a hundred times as often in
    all, where chains branch. ``key_file``: where a manager keeps its keys, for who is to be reached from other machines.
    """

    model_config = SettingsConfigDict(env_prefix="CALLBOARD_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    key_file: Path | None = None
    max_backlog: Annotated[int, Field(ge=1)] = DEFAULT_BACKLOG
    when_full: Literal["wait", "raise"] = "wait"
    max_payload: Annotated[int, Field(ge=1024, le=LARGEST_PAYLOAD)] = MAX_PAYLOAD
    max_worker_deaths: Annotated[int, Field(ge=1)] = 3
    max_chain: Annotated[int, Field(ge=1)] = 1000

    @classmethod
    def of(cls, given: dict[str, Any]) -> Settings:
        """Settings from arguments, of which None means: not given. Raises `InvalidSetting`."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']} (it is {fault['input']!r})" for fault in error.errors())
            raise InvalidSetting(f"a playground cannot be set up like this: {faults}") from None
