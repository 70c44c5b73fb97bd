"""What the atoms of a run gave, and what each is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callboard.flows.binding import extract
from callboard.flows.composite import CompositeTask
from callboard.flows.decision import Attempt
from callboard.flows.fanout import HIDDEN
from callboard.flows.flow import Item
from callboard.flows.machine import FlowMachine
from callboard.flows.plan import Call, Kind, Need
from callboard.flows.retry import Retry
from callboard.flows.state import AtomState
from callboard.messages.errors import MissingDependencies, TaskFailed
from callboard.messages.failure import Failure

_MISSING = object()


class Values:
    """Results and failures by node, and the names under which results are found.

    ``setbacks`` are failures after which the atom's own policy has it run again; ``tries`` tells how often that was, and
    since when (on the monotonic clock). ``attempts`` are the tries of controllers.
    """

    def __init__(self, machine: FlowMachine, inputs: Mapping[str, Any]) -> None:
        self.machine = machine
        self.plan = machine.plan
        self.inputs = inputs
        self.results: dict[int, Any] = {}
        self.saved: dict[int, dict[str, Any]] = {}
        self.failures: dict[int, Failure] = {}
        self.errors: dict[int, BaseException] = {}
        self.revert_failures: dict[int, Failure] = {}
        self.setbacks: dict[int, tuple[BaseException, Failure]] = {}
        self.attempts: dict[int, list[Attempt]] = {}
        self._by_name: dict[str, Failure] | None = None
        self.tries: dict[int, tuple[int, float]] = {}

    def put(self, node: int, result: Any) -> None:
        """Keep the result of an atom; `TaskFailed` where a promised name is not in it, which then is not kept."""
        known = self.plan.nodes[node]
        if known.places:
            self.saved[node] = extract(result, known.places, f"atom {known.name!r}")
        self.results[node] = result

    def put_promised(self, node: int, result: Any) -> None:
        """Keep the result of an atom that made more atoms: names that its result lacks are theirs to provide."""
        if result is None:
            self.results[node] = None
            return
        for place in self.plan.nodes[node].places:
            try:
                self.saved.setdefault(node, {}).update(extract(result, (place,), ""))
            except TaskFailed:  # left to those that it made
                continue
        self.results[node] = result

    def fail(self, node: int, error: BaseException, failure: Failure | None = None) -> Failure:
        """Keep what failed in an atom, or in its deciders, and note it in its controller's history."""
        known = failure or Failure.of(error)
        self.setbacks.pop(node, None)
        self.failures[node] = known
        self.errors[node] = error
        self._by_name = None
        self.blame(self.plan.nodes[node].controller, node)
        return known

    def own(self, node: int) -> Failure | None:
        """What failed in an atom itself, be it tried again or not."""
        setback = self.setbacks.get(node)
        return setback[1] if setback is not None else self.failures.get(node)

    def promote(self, node: int) -> None:
        """An atom that was to be tried again will not be, since its flow is reverted: its setback is a failure."""
        if node in self.setbacks:
            self.fail(node, *self.setbacks[node])

    def succeed(self, node: int) -> None:
        """An atom has made good what failed in it before."""
        self.setbacks.pop(node, None)
        if self.failures.pop(node, None) is not None:
            self.errors.pop(node, None)
            self._by_name = None

    def blame(self, controller: int, node: int) -> None:
        """Note a failure in the latest try of a controller."""
        tries = self.attempts.get(controller)
        if tries and node in self.failures:
            tries[-1].failures[self.plan.nodes[node].name] = self.failures[node]

    def forget(self, node: int) -> None:
        """An atom begins anew: nothing it did or failed at counts any more."""
        self.succeed(node)
        for kept in (self.results, self.saved, self.tries):
            kept.pop(node, None)

    def arguments(self, call: Call) -> dict[str, Any]:
        """What a method is called with; `MissingDependencies` where a required input is not there."""
        arguments = dict(call.constants)
        for need in call.needs:
            value = self.find(need)
            if value is not _MISSING:
                arguments[need.argument] = value
            elif need.required:
                owner = self.plan.nodes[need.node].name
                raise MissingDependencies(f"atom {owner!r} needs {need.names[-1]!r}, which is not there", {owner: [need.names[-1]]})
        return arguments

    def find(self, need: Need) -> Any:
        """The value of a need: of the nearest that provides it and was not ignored, else of the initial inputs."""
        state = self.machine.state
        for source in need.sources:
            link = source
            while True:
                if state[link.node] is AtomState.COMPLETED:
                    value = self._of(link.node, link.name)
                    if value is not _MISSING:
                        return value
                if link.before is None:
                    break
                link = link.before
        for name in need.names:
            if name in self.inputs:
                return self.inputs[name]
        return _MISSING

    def _of(self, node: int, name: str) -> Any:
        value = self.saved.get(node, {}).get(name, _MISSING)
        if value is _MISSING:
            for enter in self.plan.growth.get(node, ()):
                for grown in reversed(list(self.plan.region(enter))):
                    if self.machine.state[grown] is AtomState.COMPLETED and name in self.saved.get(grown, {}):
                        return self.saved[grown][name]
        return value

    def flow_failures(self) -> dict[str, Failure]:
        """What failed, by atom. The same dict until that changes; then another, so that who was given one keeps it."""
        if self._by_name is None:
            self._by_name = {self.plan.nodes[node].name: failure for node, failure in self.failures.items()}
        return self._by_name

    def outputs(self) -> dict[str, Any]:
        """Every stored name with its value, of atoms that stand completed."""
        found: dict[str, Any] = {}
        for node, saved in sorted(self.saved.items()):
            if self.machine.state[node] is AtomState.COMPLETED:
                found.update(saved)
        for name, source in self.plan.aliases.items():
            if source.name in found:
                found[name] = found[source.name]
        return {name: value for name, value in found.items() if not name.startswith(HIDDEN)}

    def output(self, root: Item) -> Any:
        """The last atom's own result; of a CompositeTask its outputs by name."""
        if isinstance(root, CompositeTask):
            return self._composite_output()
        last = None
        for node, _ in self.plan.atoms():
            if self.machine.state[node] is AtomState.COMPLETED and self._is_last(node):
                last = node
        return None if last is None else self.results.get(last)

    def _is_last(self, node: int) -> bool:
        """Whether no atom comes behind, but for those of an enclosing flow's end."""
        if isinstance(self.plan.nodes[node].task, Retry):
            return False
        left = list(self.plan.after[node])
        for behind in left:
            if self.plan.nodes[behind].kind is Kind.EXIT:
                left += self.plan.after[behind]
            elif self.plan.nodes[behind].kind is Kind.ENTER or self.machine.state[behind] is not AtomState.IGNORED:
                return False
            else:
                left += self.plan.after[behind]
        return True

    def _composite_output(self) -> dict[str, Any]:
        """Stored names; and of parts that store nothing, a result that is a dict by its own keys."""
        found: dict[str, Any] = {}
        for node, known in self.plan.atoms():
            result = self.results.get(node)
            if self.machine.state[node] is AtomState.COMPLETED and not known.places and isinstance(result, dict):
                found.update({key: value for key, value in result.items() if isinstance(key, str)})
        return {**found, **self.outputs()}
