"""How the parts of a flow find what they need in each other, for each kind of flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from callboard.flows.graph import GraphFlow, Link
from callboard.flows.plan import Kind, Need, Plan, Source, Vote
from callboard.messages.errors import AmbiguousDependency, DependencyCycle


class Part:
    """A laid-out piece of a flow: where it begins and ends, what it still needs, and what it provides by name.

    ``clashes`` are names that several provide without any order among them.
    """

    __slots__ = ("clashes", "enter", "exit", "needs", "provides")

    def __init__(self, enter: int, exit: int, needs: list[Need] | None = None) -> None:
        self.enter = enter
        self.exit = exit
        self.needs = needs if needs is not None else []
        self.provides: dict[str, Source] = {}
        self.clashes: dict[str, tuple[int, ...]] = {}

    def provide(self, node: int, names: Iterable[str]) -> None:
        """Let ``node`` be the one that provides these names."""
        for name in names:
            self.provides[name] = Source(node, name)

    def answer(self, need: Need) -> None:
        """Add to a need whoever provides one of its names here."""
        for name in need.names:
            source = self.provides.get(name)
            if source is not None:
                if name in self.clashes and not need.sources:
                    raise _ambiguous(need, name, self.clashes[name])
                need.sources.append(source)

    def take_over(self, other: Part) -> None:
        """Let what ``other`` provides count from now on, before what was provided so far."""
        for name, source in other.provides.items():
            known = self.provides.get(name)
            self.provides[name] = source if known is None else _behind(source, known)
            self.clashes.pop(name, None)
        self.clashes.update(other.clashes)

    def under(self, controller: Part) -> None:
        """Put the part under its controller, whose value is there before anything else of it."""
        for need in self.needs:
            controller.answer(need)
        provides, self.provides = self.provides, dict(controller.provides)
        for name, source in provides.items():
            known = self.provides.get(name)
            self.provides[name] = source if known is None else _behind(source, known)
        self.needs.extend(controller.needs)

    def rename(self, taken: Mapping[str, str], given: Mapping[str, str], prefix: str) -> None:
        """Ask outside under other names (``{inside: outside}``), and hand out under other names."""
        for need in self.needs:
            for inside, outside in taken.items():
                if prefix + inside in need.names:
                    need.names = (prefix + outside, *(name for name in need.names if name != prefix + inside))
        for inside, outside in given.items():
            source = self.provides.get(prefix + inside)
            if source is not None:
                self.provides[prefix + outside] = source


def _behind(source: Source, known: Source) -> Source:
    """``source``, with ``known`` as what was meant before it."""
    links = [source]
    while links[-1].before is not None:
        links.append(links[-1].before)
    for link in reversed(links):
        known = Source(link.node, link.name, known)
    return known


def merge_linear(children: list[Part], whole: Part) -> None:
    """One after the other: each finds what those before it provide, the nearest first."""
    for child in children:
        for need in child.needs:
            whole.answer(need)
        whole.needs.extend(child.needs)
        whole.take_over(child)


def merge_unordered(children: list[Part], whole: Part) -> None:
    """In any order: nobody finds anything of the others."""
    for child in children:
        whole.needs.extend(child.needs)
        whole.clashes.update(child.clashes)
        for name, source in child.provides.items():
            known = whole.provides.get(name)
            if known is not None:
                whole.clashes[name] = (*whole.clashes.get(name, (known.node,)), source.node)
            whole.provides[name] = source


def link_up(plan: Plan, flow: GraphFlow, children: list[Part], whole: Part) -> list[Part]:
    """In the order that names and links require: draw those edges, and return the children that are to run."""
    number: dict[int, int] = {id(entry.item): place for place, entry in enumerate(flow.entries)}
    links = [(number[id(link.source)], number[id(link.target)], link) for link in flow.links]
    before: list[set[int]] = [set() for _ in children]
    for source, target, _ in links:
        before[target].add(source)
    linked = [frozenset(sources) for sources in before]
    providers: dict[str, list[int]] = {}
    for place, child in enumerate(children):
        for name in child.provides:
            providers.setdefault(name, []).append(place)
    for place, child in enumerate(children):
        for need in child.needs:
            if not need.sources:
                before[place].update(_find(plan, need, place, children, providers, linked[place]))
    _check_cycle(before, [entry.name for entry in flow.entries])
    kept = _kept(before, None if flow.targeted is None else number[id(flow.targeted)])
    for place in sorted(kept):
        for source in sorted(before[place]):
            plan.edge(children[source].exit, children[place].enter)
        whole.needs.extend(children[place].needs)
        for name, source_of in children[place].provides.items():
            whole.provides[name] = source_of
        whole.clashes.update(children[place].clashes)
    for source, target, link in links:
        if link.decider is not None and target in kept:
            _add_vote(plan, children[source], children[target], link)
    _forget(plan, children, kept)
    for name, places in providers.items():
        if len(chosen := [place for place in places if place in kept]) > 1:
            whole.clashes[name] = tuple(children[place].provides[name].node for place in chosen)
    return [children[place] for place in sorted(kept)]


def _find(
    plan: Plan, need: Need, place: int, children: list[Part], providers: dict[str, list[int]], linked: frozenset[int]
) -> Iterable[int]:
    for name in need.names:
        found = [other for other in providers.get(name, ()) if other != place]
        if not found:
            continue
        # Links say which providers come before; then the later one counts, or an earlier where that was ignored.
        if len(found) > 1 and not linked.issuperset(found):
            raise _ambiguous(need, name, [children[other].provides[name].node for other in found], plan)
        chain: Source | None = None
        for other in found:
            source = children[other].provides[name]
            if name in children[other].clashes:
                raise _ambiguous(need, name, children[other].clashes[name], plan)
            chain = source if chain is None else Source(source.node, source.name, chain)
        assert chain is not None
        need.sources.append(chain)
        return found
    return ()


def _ambiguous(need: Need, name: str, nodes: Iterable[int], plan: Plan | None = None) -> AmbiguousDependency:
    if plan is None:
        return AmbiguousDependency(f"several provide {name!r} in no order, and it is needed as {need.argument!r}; rename one, or link them")
    who = " and ".join(repr(plan.nodes[node].name) for node in nodes)
    needy = plan.nodes[need.node].name
    return AmbiguousDependency(f"{who} provide {name!r}, which {needy!r} needs; rename one, or link those that are meant before it")


def _check_cycle(before: list[set[int]], names: list[str]) -> None:
    """Raise `DependencyCycle` with the way around, found by walking backwards from what can never be ready."""
    if all(source < place for place, sources in enumerate(before) for source in sources):
        return  # added in an order in which they can run
    waiting = [len(sources) for sources in before]
    after: list[list[int]] = [[] for _ in before]
    for place, sources in enumerate(before):
        for source in sources:
            after[source].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    for place in ready:
        for behind in after[place]:
            waiting[behind] -= 1
            if not waiting[behind]:
                ready.append(behind)
    if len(ready) == len(before):
        return
    stuck = set(range(len(before))) - set(ready)
    path = [min(stuck)]
    while path[-1] not in path[:-1]:
        path.append(min(before[path[-1]] & stuck))
    way = path[path.index(path[-1]) :]
    raise DependencyCycle([names[place] for place in reversed(way)])


def _kept(before: list[set[int]], target: int | None) -> set[int]:
    if target is None:
        return set(range(len(before)))
    kept, left = {target}, [target]
    while left:
        for source in before[left.pop()] - kept:
            kept.add(source)
            left.append(source)
    return kept


def _forget(plan: Plan, children: list[Part], kept: set[int]) -> None:
    """Take the atoms that are not to run out of the index; nothing leads to them."""
    for place, child in enumerate(children):
        if place not in kept:
            for node in range(child.enter, child.exit + 1):
                plan.index.pop(plan.nodes[node].name, None)


def _add_vote(plan: Plan, source: Part, target: Part, link: Link) -> None:
    assert link.decider is not None
    plan.nodes[target.enter].votes += (Vote(tuple(_last_atoms(plan, source.exit)), link.decider, link.depth),)


def _last_atoms(plan: Plan, node: int) -> list[int]:
    if plan.nodes[node].kind <= Kind.RETRY:
        return [node]
    found: dict[int, None] = {}
    left: list[Any] = [node]
    while left:
        for before in plan.before[left.pop()]:
            if plan.nodes[before].kind <= Kind.RETRY:
                found[before] = None
            else:
                left.append(before)
    return list(found)
