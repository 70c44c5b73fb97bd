"""A booking of three parts. When the last cannot be had the others are given back, the latest first."""

from __future__ import annotations

from callboard import SyncExecutor, Task
from callboard.flows import LinearFlow


class Reserve(Task):
    def execute(self, traveller: str) -> str:
        print(f"{self.name} reserved for {traveller}")
        return f"{self.name.upper()}-1"

    def revert(self, result: str, traveller: str) -> None:
        print(f"{self.name} {result} given back")


class Pay(Task):
    def execute(self, traveller: str) -> str:
        raise PermissionError(f"the card of {traveller} was declined")

    def revert(self, result: object) -> None:
        print(f"nothing was paid ({result})")


flow = LinearFlow("journey").add(Reserve("flight", provides="flight"), Reserve("hotel", provides="hotel"), Pay("payment"))
result = SyncExecutor().execute(flow, initial_inputs={"traveller": "Ada"})
print(result.status, dict(result.outputs), {name: str(state) for name, state in result.states.items()})
try:
    result.unwrap()
except PermissionError as error:
    print(f"the original error: {error}")
