"""A compiled flow: atoms as numbers, who comes before whom, and where each finds its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from callboard.flows.binding import Places
from callboard.flows.graph import Decider, Depth
from callboard.flows.retry import Retry
from callboard.flows.task import Task


class Kind(IntEnum):
    """What a node is. ENTER and EXIT stand around each flow and do nothing, so that edges stay few."""

    TASK = 0
    RETRY = 1
    ENTER = 2
    EXIT = 3


class Source(NamedTuple):
    """A node that provides a stored name, and the one that was meant before it, which serves where this was ignored."""

    node: int
    name: str
    before: Source | None = None


class Need:
    """One argument of an atom: the stored names it may be found under, the innermost first, and who provides them.

    ``given`` says that the run's initial inputs have it.
    """

    __slots__ = ("argument", "given", "names", "node", "required", "sources")

    def __init__(self, node: int, argument: str, names: tuple[str, ...], required: bool) -> None:
        self.node = node
        self.argument = argument
        self.names = names
        self.required = required
        self.given = False
        self.sources: list[Source] = []

    def providers(self) -> Iterator[Source]:
        """Those who may provide it, the nearest first."""
        for source in self.sources:
            link: Source | None = source
            while link is not None:
                yield link
                link = link.before


class Call(NamedTuple):
    """How one method of an atom is called: constants by argument, and needs."""

    constants: Mapping[str, Any]
    needs: tuple[Need, ...]


NOTHING = Call({}, ())


class Vote(NamedTuple):
    """A decided link into a node: the atoms whose results the decider is shown."""

    sources: tuple[int, ...]
    decider: Decider
    depth: Depth


class Condition(NamedTuple):
    """A part's own ``when``: called with inputs by name."""

    function: Callable[..., Any]
    call: Call


class Node:
    """What is known of one node before anything runs."""

    __slots__ = ("call", "condition", "controller", "enter", "kind", "name", "on_failure", "places", "priority", "revert", "task", "votes")

    def __init__(self, kind: Kind, name: str, task: Task | Retry | None, enter: int, controller: int) -> None:
        self.kind = kind
        self.name = name
        self.task = task
        self.enter = enter
        self.controller = controller
        self.priority = 0
        self.call = NOTHING
        self.revert: Call | None = None
        self.on_failure = NOTHING
        self.places: Places = ()
        self.condition: Condition | None = None
        self.votes: tuple[Vote, ...] = ()


class Plan:
    """Nodes by number. ``regions`` are the first and last node of each flow, by the number of its ENTER.

    ``controllers`` gives the ENTER of a controller's flow, ``aliases`` the source of a name that a composite task hands out,
    ``ids`` the node of a task by its id, where somebody asked for that. ``growth`` holds, for a node that made more atoms while the
    flow ran, the ENTER of each flow it made.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.after: list[Sequence[int]] = []
        self.before: list[Sequence[int]] = []
        self.regions: dict[int, int] = {}
        self.controllers: dict[int, int] = {}
        self.index: dict[str, int] = {}
        self.growth: dict[int, list[int]] = {}
        self.ids: dict[str, int] = {}
        self.aliases: dict[str, Source] = {}
        self.root_exit = -1

    def new(self, kind: Kind, name: str, task: Task | Retry | None, enter: int, controller: int) -> int:
        """Add a node and return its number."""
        self.nodes.append(Node(kind, name, task, enter, controller))
        self.after.append([])
        self.before.append([])
        return len(self.nodes) - 1

    def edge(self, first: int, then: int) -> None:
        """Let ``then`` come after ``first``."""
        behind, before = self.after[first], self.before[then]
        (behind if type(behind) is list else _open(self.after, first)).append(then)
        (before if type(before) is list else _open(self.before, then)).append(first)

    def close(self) -> None:
        """Make tuples of the edges: of tuples of numbers the garbage collector soon takes no more notice."""
        self.after = [tuple(behind) for behind in self.after]
        self.before = [tuple(before) for before in self.before]

    def shrink(self, count: int) -> None:
        """Take away all nodes but the first ``count``, to which no edge leads yet."""
        for node in self.nodes[count:]:
            if self.index.get(node.name, -1) >= count:
                del self.index[node.name]
        for numbered in (self.regions, self.controllers):
            for number in [number for number in range(count, len(self.nodes)) if number in numbered]:
                del numbered[number]
        self.ids = {task_id: number for task_id, number in self.ids.items() if number < count}
        self.aliases = {name: source for name, source in self.aliases.items() if source.node < count}
        del self.nodes[count:], self.after[count:], self.before[count:]

    def region(self, enter: int) -> Iterator[int]:
        """All nodes of a flow, with those that grew in it."""
        spans = [(enter, self.regions[enter])]
        while spans:
            first, last = spans.pop()
            for node in range(first, last + 1):
                yield node
                for grown in self.growth.get(node, ()):
                    spans.append((grown, self.regions[grown]))

    def prune(self, node: int) -> list[int]:
        """Take away what ``node`` made while the flow ran, since it will run again; gives the EXITs that are gone."""
        exits = []
        for enter in self.growth.pop(node, ()):
            for dead in self.region(enter):
                self.index.pop(self.nodes[dead].name, None)
            exit = self.regions[enter]
            _open(self.after, node).remove(enter)
            for behind in self.after[exit]:
                _open(self.before, behind).remove(exit)
            exits.append(exit)
        return exits

    def atoms(self) -> Iterator[tuple[int, Node]]:
        """The nodes that are tasks or controllers."""
        return ((number, node) for number, node in enumerate(self.nodes) if node.kind <= Kind.RETRY and node.name in self.index)

    def names(self) -> list[str]:
        """The names of all atoms, in order."""
        return [node.name for _, node in self.atoms()]

    def order(self) -> list[int]:
        """All nodes that run, so that each comes after those before it (A. B. Kahn, 1962)."""
        waiting = [len(before) for before in self.before]
        ready = [0]
        for node in ready:
            for behind in self.after[node]:
                waiting[behind] -= 1
                if not waiting[behind]:
                    ready.append(behind)
        return ready


def _open(edges: list[Sequence[int]], node: int) -> list[int]:
    """The edges of one node, to be changed."""
    opened = edges[node] = list(edges[node])
    return opened
