from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.dispatch.idle import Idle
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.record import WorkerInfo, WorkerRecord

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60)


@given(st.permutations(range(12)), STEPS)
def test_they_are_in_the_order_of_their_keys_whoever_comes_and_goes(keys: list[int], steps: list[tuple[bool, int]]) -> None:
    profile = Profile("w", {})
    idle = Idle()
    known: dict[int, WorkerRecord] = {}
    for comes, place in steps:
        if comes and keys:
            key = keys.pop()
            known[key] = WorkerRecord(WorkerInfo(f"w{key}", f"w{key}", "w"), profile, key, 0.0)
            idle.add(key, known[key])
            assert known[key].idle_key == key
        elif not comes and place < len(known):
            gone = known.pop(sorted(known)[place])
            if place == 0:
                idle.pop()
            else:
                idle.remove(gone)
            assert gone.idle_key is None
        assert list(idle) == [known[key] for key in sorted(known)]
        assert idle.top == min(known, default=None)
        assert not known or idle.first() is known[min(known)]
