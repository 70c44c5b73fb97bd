"""Who takes what: roles, levels, tags, priorities, and what happens when nobody can."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard import NoCapableWorker, Playground, ProcessWorker, Task, TaskStatus
from tests.playground.crew import Deaf, Noting, Sleeper, Tally, begun, until

LEVELS = {"junior": 3, "intermediate": 6, "senior": 9}


@pytest.fixture(scope="module")
def office(module_tally: Tally) -> Iterator[Playground]:
    crew = [Sleeper(name, "desk", skills={"skill": level}, tally=module_tally) for name, level in LEVELS.items()]
    with Playground("office").play(workers=crew) as stage:
        yield stage


@pytest.mark.parametrize("order", list(itertools.permutations([2, 5, 8])))
def test_each_task_goes_to_the_least_skilled_worker_that_qualifies(office: Playground, module_tally: Tally, order: tuple[int, ...]) -> None:
    handles = {needed: office.submit(Task(f"needs {needed}", "desk", {"data": needed / 40}, skills={"skill": needed})) for needed in order}
    results = {needed: handle.result(20) for needed, handle in handles.items()}
    assert {needed: result.worker for needed, result in results.items()} == {2: "junior", 5: "intermediate", 8: "senior"}
    assert all(result.success and result.output == result.worker for result in results.values())
    module_tally.once(results.values())


def test_tasks_for_different_workers_run_at_the_same_time(office: Playground) -> None:
    begun_at = time.monotonic()
    handles = [office.submit(Task(processor="desk", input_data={"data": needed / 10}, skills={"skill": needed})) for needed in (8, 2, 5)]
    assert all(handle.result(20).success for handle in handles)
    assert 0.8 <= time.monotonic() - begun_at < 1.4  # the longest takes 0.8 s, all together 1.5


def test_tasks_that_anybody_can_do_leave_the_master_free_for_last(office: Playground) -> None:
    handles = [office.submit(Task(processor="desk", input_data={"data": 0.4}, skills={"skill": 1})) for _ in range(2)]
    hard = office.submit(Task(processor="desk", input_data={"data": 0.0}, skills={"skill": 9}))
    assert hard.result(20).worker == "senior"
    assert {handle.result(20).worker for handle in handles} == {"junior", "intermediate"}


def test_a_task_waits_for_the_only_one_who_can_do_it(office: Playground) -> None:
    handles = [office.submit(Task(processor="desk", input_data={"data": 0.05}, skills={"skill": 7})) for _ in range(4)]
    assert {handle.result(20).worker for handle in handles} == {"senior"}


def test_all_levels_of_all_tags_must_be_met(tally: Tally) -> None:
    crew = [
        Noting("both", "paint", skills={"oil": 6, "gpu": 1}, tally=tally),
        Noting("oil", "paint", skills={"oil": 9}, tally=tally),
        Noting("gpu", "paint", skills={"gpu"}, tally=tally),
        Noting("plain", "paint", tally=tally),
        Noting("stranger", "carve", skills={"oil": 9, "gpu": 9}, tally=tally),
    ]
    with Playground().play(workers=crew) as stage:
        wanted = [({"oil": 5, "gpu": 1}, "both"), ({"oil": 7}, "oil"), ({"gpu"}, "gpu"), (["oil", "gpu"], "both"), ({}, "plain")]
        for skills, name in wanted:
            handles = [stage.submit(Task("stroke", "paint", skills=skills)) for _ in range(3)]
            results = [handle.result(20) for handle in handles]
            tally.once(results)
            assert results[0].worker == name, skills
        any_level = stage.submit(Task("stroke", "paint", skills={"gpu": 0})).result(20)
        assert any_level.success and any_level.worker not in ("gpu", "both")
        none = stage.submit(Task("too hard", "paint", skills={"oil": 7, "gpu": 1}, expires_in=0.05)).result(20)
        assert none.status is TaskStatus.FAILED


def test_levels_may_be_declared_by_the_class() -> None:
    class Careful(ProcessWorker):
        def __init__(self, name: str, level: int) -> None:
            super().__init__(name, "inspect", skills={"care": level})

        def process(self, request: object) -> str:
            return self.name

    with Playground().play(workers=[Careful("low", 1), Careful("high", 4)]) as stage:
        assert stage.submit(Task(processor="inspect", skills={"care": 2})).result(20).output == "high"
        assert stage.submit(Task(processor="inspect", skills={"care": 1})).result(20).output == "low"


# -- priorities -------------------------------------------------------------------------------


def test_a_later_task_of_higher_priority_overtakes(tally: Tally, tmp_path: Path) -> None:
    with Playground().play(workers=[Deaf("solo", "desk", tally=tally)]) as stage:
        first = stage.submit(Task("busy", "desk", {"begun": str(tmp_path / "begun"), "until": str(tmp_path / "end")}))
        begun(tmp_path / "begun")
        inputs = {"begun": str(tmp_path / "other"), "seconds": 0.0}
        low = [stage.submit(Task(f"low {number}", "desk", inputs)) for number in range(3)]
        late = stage.submit(Task("least", "desk", inputs, priority=-1))
        high = stage.submit(Task("high", "desk", inputs, priority=5))
        highest = stage.submit(Task("highest", "desk", inputs, priority=9))
        (tmp_path / "end").touch()
    order = [highest, high, *low, late]
    assert [line.split()[0] for line in (tmp_path / "other").read_text().splitlines()] == [handle.task_id for handle in order]
    tally.once([first, *order])


def test_priorities_hold_among_tasks_of_different_needs(tmp_path: Path) -> None:
    with Playground().play(workers=[Deaf("solo", "desk", skills={"oil": 5})]) as stage:
        stage.submit(Task("busy", "desk", {"begun": str(tmp_path / "begun"), "until": str(tmp_path / "end")}))
        begun(tmp_path / "begun")
        inputs = {"begun": str(tmp_path / "other"), "seconds": 0.0}
        handles = [
            stage.submit(Task(f"{priority}", "desk", inputs, priority=priority, skills={"oil": priority % 3 + 1}))
            for priority in (1, 4, 2, 8, 5, 7)
        ]
        names = {handle.task_id: int(handle.name) for handle in handles}
        (tmp_path / "end").touch()
    assert [names[line.split()[0]] for line in (tmp_path / "other").read_text().splitlines()] == [8, 7, 5, 4, 2, 1]


@pytest.mark.parametrize("measured", [False, True])
def test_what_was_sent_ahead_is_overtaken_too(tmp_path: Path, measured: bool) -> None:
    with Playground().play(workers=[Deaf("solo", "desk")]) as stage:
        inputs = {"begun": str(tmp_path / "quick"), "seconds": 0.0}
        for priority in [0] * 30 + [5] * 30 * measured:  # so that tasks look quick, and some are sent before they are asked for
            assert stage.submit(Task("quick", "desk", inputs, priority=priority)).result(20).success
        first = stage.submit(Task("busy", "desk", {"begun": str(tmp_path / "begun"), "until": str(tmp_path / "end")}))
        begun(tmp_path / "begun")
        inputs = {"begun": str(tmp_path / "other"), "seconds": 0.0}
        low = [stage.submit(Task(f"low {number}", "desk", inputs)) for number in range(3)]
        until(lambda: "it waits behind" in stage.explain(low[-1].task_id), "the arrival of the last")
        high = [stage.submit(Task(f"high {number}", "desk", inputs, priority=5)) for number in range(3)]
        until(lambda: not any("it waits behind" in stage.explain(each.task_id) for each in low), "the recall of the others")
        (tmp_path / "end").touch()
    assert first.result().success
    order = [line.split()[0] for line in (tmp_path / "other").read_text().splitlines()]
    assert order == [handle.task_id for handle in (*high, *low)]


# -- nobody can -------------------------------------------------------------------------------


def test_a_task_that_nobody_can_take_expires_and_says_who_is_there() -> None:
    crew = [Noting("ada", "paint", skills={"oil": 3}), Noting("bob", "paint", skills={"oil": 4}), Noting("eve", "carve")]
    with Playground().play(workers=crew) as stage:
        begun_at = time.monotonic()
        handle = stage.submit(Task("portrait", "paint", skills={"oil": 7}, expires_in=1.0))
        other = stage.submit(Task("frame", "carve"))
        assert other.result(20).success
        result = handle.result(20)
        assert 0.95 <= time.monotonic() - begun_at < 2.5
    assert result.status is TaskStatus.FAILED and result.attempts == 0 and result.worker is None
    assert result.failure is not None and result.failure.check(NoCapableWorker)
    assert result.error is not None
    for text in ("portrait", "'paint'", "oil=7", "1 x role 'paint' (oil=3)", "(oil=4)", "1 x role 'carve'"):
        assert text in result.error


def test_a_task_of_a_role_that_nobody_has_expires_too() -> None:
    with Playground().play(workers=0) as stage:
        result = stage.submit(Task("lonely", "nobody", expires_in=0.05)).result(20)
        assert "no worker is present" in str(result.error) and "role 'nobody'" in str(result.error)


def test_expiry_does_not_touch_a_task_whose_worker_is_only_busy(tmp_path: Path) -> None:
    with Playground().play(workers=[Deaf("solo", "desk")]) as stage:
        first = stage.submit(Task("busy", "desk", {"begun": str(tmp_path / "begun"), "seconds": 0.4}))
        begun(tmp_path / "begun")
        second = stage.submit(Task("patient", "desk", {"begun": str(tmp_path / "begun"), "seconds": 0.0}, expires_in=0.05))
        assert first.result(20).success and second.result(20).success


def test_without_expiry_a_worker_that_joins_later_takes_the_task(free_port: Callable[[], int], late_worker: Callable[[str], None]) -> None:
    with Playground(port=free_port()).play(workers=[Noting("ada", "paint", skills={"oil": 3})]) as stage:
        handle = stage.submit(Task("portrait", "paint", {"data": "a cat"}, skills={"oil": 7}))
        patient = stage.submit(Task("sketch", "paint", {"data": "a dog"}, skills={"oil": 8}, expires_in=60.0))
        assert handle.status is TaskStatus.PENDING
        assert stage.address is not None
        late_worker(stage.address)
        assert handle.result(30).output == "a cat" and handle.result().worker == "late"
        assert patient.result(30).output == "a dog"


def test_the_end_of_the_block_fails_what_nobody_could_ever_take() -> None:
    with Playground().play(workers=[Noting("ada", "paint")]) as stage:
        never = stage.submit(Task("never", "carve"))
        after = stage.submit(Task("after", "paint", dependencies=[never.task_id]))
        fine = stage.submit(Task("fine", "paint"))
    failure = never.result().failure
    assert failure is not None and failure.check(NoCapableWorker)
    assert after.result().status is TaskStatus.SKIPPED and never.task_id in str(after.result().error)
    assert fine.result().success
