from __future__ import annotations

import pytest

from callboard.actors.dispatch import stray
from callboard.actors.dispatch.stray import Strays
from callboard.messages.failure import Failure
from callboard.messages.wire import Ending, Report


def report(*ids: str) -> Report:
    rows = range(len(ids))
    failure = Failure.of(ValueError("no"))
    return Report(
        epoch="e",
        number=1,
        ids=list(ids),
        fences=[row + 1 for row in rows],
        endings=[Ending.FAILED for _ in rows],
        micros=[10 * row for row in rows],
        errors={1: "no"},
        failures={1: failure},
        again={1: 0.5},
    )


def test_who_runs_a_task_is_told_once() -> None:
    strays = Strays()
    strays.runs("t", "ada", 3)
    assert len(strays) == 1
    assert strays.runner("t") == ("ada", 3)
    assert strays.runner("t") is None and len(strays) == 0


def test_an_attempt_is_gone_with_the_worker_that_has_it_only() -> None:
    strays = Strays()
    strays.runs("t", "ada", 3)
    assert not strays.gone("t", "bob")
    assert not strays.gone("other", "ada")
    assert strays.gone("t", "ada") and strays.runner("t") is None


def test_of_a_report_one_row_is_kept_with_all_that_belongs_to_it() -> None:
    strays = Strays()
    strays.ended("ada", report("a", "b"), 1, b"output")
    assert strays.result("a") is None
    orphan = strays.result("b")
    assert orphan is not None and (orphan.worker_name, orphan.output) == ("ada", b"output")
    one = orphan.report
    assert (one.ids, one.fences, one.endings, one.micros) == (["b"], [2], [Ending.FAILED], [10])
    assert one.errors == {0: "no"} and one.again == {0: 0.5}
    assert one.failures is not None and one.failures[0].type_name == "ValueError"
    assert strays.result("b") is None and len(strays) == 0


def test_the_oldest_are_let_go_when_there_are_too_many_or_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stray, "MAX_STRAYS", 3)
    monkeypatch.setattr(stray, "MAX_BYTES", 100)
    strays = Strays()
    for number in range(5):
        strays.runs(f"r{number}", "ada", 1)
        strays.ended("ada", report(f"t{number}"), 0, b"")
    assert [strays.runner(f"r{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert [strays.result(f"t{number}") is not None for number in range(5)] == [False, False, True, True, True]
    strays.ended("ada", report("large"), 0, bytes(60))
    strays.ended("ada", report("larger"), 0, bytes(61))
    assert strays.result("large") is None and strays.result("larger") is not None
    strays.ended("ada", report("next"), 0, bytes(100))
    assert strays.result("next") is not None, "what was taken no longer counts"
