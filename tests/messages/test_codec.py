"""What is written of a message, and what is read of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from callboard.messages.codec import decode, encode
from callboard.messages.spec import TaskSpec
from callboard.messages.wire import AnyMessage, Assign


def models(annotation: Any, found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """All models that can be part of a value of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
        found.add(annotation)
        for field in annotation.model_fields.values():
            models(field.annotation, found)
    for part in get_args(annotation):
        models(part, found)
    return found


def may_be_none(annotation: Any) -> bool:
    try:
        return TypeAdapter(annotation).validate_python(None) is None
    except ValidationError:
        return False


def nullable() -> Iterator[tuple[type[BaseModel], str]]:
    for model in models(AnyMessage, set()):
        for name, field in model.model_fields.items():
            if may_be_none(field.annotation):
                yield model, name


@pytest.mark.parametrize(("model", "name"), sorted(nullable(), key=str))
def test_what_may_be_none_is_none_when_it_is_left_out(model: type[BaseModel], name: str) -> None:
    field = model.model_fields[name]
    assert not field.is_required() and field.get_default(call_default_factory=True) is None


@pytest.mark.parametrize("spec", [TaskSpec(role=None, skills=(("a", 1),)), TaskSpec(role="python"), TaskSpec(role="paint", timeout=1.5)])
def test_a_spec_arrives_as_it_was(spec: TaskSpec) -> None:
    message = Assign(
        epoch="e", acked=0, ids=["t"], names=["task"], spec_of=[1], fences=[1], times=[0], specs={1: spec}, sizes=[0], large=None
    )
    arrived, _ = decode([*encode(message), b""])
    assert isinstance(arrived, Assign) and arrived.specs == {1: spec}
