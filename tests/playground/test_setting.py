"""Where settings come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.messages.errors import InvalidSetting
from callboard.playground.setting import Settings


def test_an_argument_goes_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_MAX_CHAIN", "7")
    monkeypatch.setenv("CALLBOARD_WHEN_FULL", "raise")
    settings = Settings.of({"max_chain": 5, "when_full": None, "port": None})
    assert (settings.max_chain, settings.when_full, settings.max_worker_deaths, settings.port) == (5, "raise", 3, None)


def test_all_that_is_wrong_is_told_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_MAX_BACKLOG", "many")
    with pytest.raises(InvalidSetting, match=r"max_backlog: .*'many'.*") as caught:
        Settings.of({"port": 70000, "unheard_of": 1})
    assert "port: " in str(caught.value) and "70000" in str(caught.value) and "unheard_of: " in str(caught.value)


def test_a_number_may_be_a_text_and_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_PORT", " 8000 ")
    assert Settings.of({"max_chain": "12", "key_file": "keys"}) == Settings(port=8000, max_chain=12, key_file=Path("keys"))
    for value in (True, 1.5, "-1", "", None):
        monkeypatch.setenv("CALLBOARD_MAX_CHAIN", "" if value is None else "5")
        with pytest.raises(InvalidSetting, match="max_chain: it must be a whole number"):
            Settings.of({"max_chain": value})
