"""A request type with a field of every kind, and its decoder."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from memhost.errors import Problem
from memhost_rest.decoding import DecodingError, RequestDecoder


class Colour(str, Enum):  # noqa: UP042 - as MemoryType is
    RED = "red"
    BLUE = "blue"


class Leaf(msgspec.Struct, kw_only=True):
    name: str
    size: int = 1


class Tree(msgspec.Struct, kw_only=True):
    text: str = "-"
    number: int = 0
    real: float = 0.0
    flag: bool = False
    when: datetime | None = None
    at: datetime | UnsetType = UNSET
    colour: Colour = Colour.RED
    word: Literal["t", "f"] = "t"
    names: list[str] = []
    leaves: list[Leaf] = []
    leaf: Leaf | None = None
    by_name: dict[str, Leaf] = {}
    free: dict[str, Any] | None = None
    bounded: Annotated[int, Meta(ge=1, le=10)] = 5
    open_bounded: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    short: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    choice: Leaf | bool | None = None
    scalar: str | float | bool | None = None
    children: list[Tree] = []


TREE = RequestDecoder(Tree, body="required")


def read(**body: Any) -> Tree:
    return TREE.decode(body=body)


def problems_of(body: Any) -> list[Problem]:
    with pytest.raises(DecodingError) as caught:
        TREE.decode(body=body)
    return list(caught.value.problems)
