"""One number after the other is called until somebody answers; what an attempt began is undone before the next."""

from __future__ import annotations

from callboard import SyncExecutor, Task
from callboard.flows import ForEach, LinearFlow


class Call(Task):
    def execute(self, number: int) -> str:
        print(f"calling {number}")
        if number != 555:
            raise ConnectionError(f"{number} does not answer")
        return f"{number} says hello"

    def revert(self, number: int) -> None:
        print(f"hanging up on {number}")


flow = LinearFlow("calls", retry=ForEach([333, 444, 555, 666], provides="number")).add(Call("call", provides="answer"))
result = SyncExecutor().execute(flow)
print(result.status, result.outputs["answer"])
