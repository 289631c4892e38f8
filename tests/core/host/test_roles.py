"""One list of roles, read by everything that names them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from msgspec import inspect

from memhost.host import ROLES as HELD_BY
from memhost.host import core_operations
from memhost.models import EVERY_ROLE, RIGHTS, ROLES, Caller, Right, Role, Scope
from memhost.operations import Access
from memhost.testing import auth as auth_suite
from memhost_auth_jwt import JwtSettings
from memhost_auth_none import LOCAL
from memhost_auth_token.commands import token
from memhost_auth_token.operations import CreateToken

REPOSITORY = Path(__file__).parents[3]


def test_each_role_may_what_the_one_before_it_may() -> None:
    assert tuple(RIGHTS) == ROLES == get_args(Role)
    rights = list(RIGHTS.values())
    assert all(less <= more for less, more in pairwise(rights))
    assert {right for each in rights for right in each} == set(get_args(Right))


def test_the_rights_are_those_that_operators_rely_on() -> None:
    changing = {"read", "write", "delete"}
    assert {role: set(rights) for role, rights in RIGHTS.items()} == {
        "reader": {"read"},
        "writer": changing,
        "operator": {*changing, "admin"},
        "admin": {*changing, "admin"},
    }


def test_rights_are_those_that_operations_need() -> None:
    assert set(get_args(Access)) == {"open", *get_args(Right)}
    assert {operation.access for operation in core_operations()} == set(get_args(Access))


@pytest.mark.parametrize("right", get_args(Right))
def test_holders_are_the_same_list_the_other_way_round(right: Right) -> None:
    assert HELD_BY[right] == {role for role in ROLES if right in RIGHTS[role]}


@pytest.mark.parametrize("role", ROLES)
def test_who_may_administer_runs_its_tenant(role: Role) -> None:
    caller = Caller(subject="x", roles=frozenset({role}))
    assert caller.runs_tenant is ("admin" in RIGHTS[role])
    assert not Caller(subject="x", roles=frozenset({role}), bounds=Scope(users=("u",))).runs_tenant


def _choices(kind: Any) -> set[Any]:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else [kind]
    return {value for each in kinds if isinstance(each, inspect.LiteralType) for value in each.values}


def _field(struct: type[Any], name: str) -> Any:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    kind = next(field.type for field in info.fields if field.name == name)
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def test_providers_and_commands_offer_these_roles() -> None:
    assert LOCAL.roles == EVERY_ROLE == auth_suite.ROLES == set(ROLES)
    assert _choices(_field(CreateToken, "role")) == set(ROLES)
    assert _choices(_field(JwtSettings, "default_role")) == set(ROLES)
    assert _choices(_field(JwtSettings, "role_names").value_type) == set(ROLES)
    (option,) = [each for each in token.commands["create"].params if each.name == "role"]
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == ROLES


def test_the_page_names_each_role_once_with_its_rights() -> None:
    text = (REPOSITORY / "docs" / "auth.md").read_text()
    section = text.partition("## Roles and bounds")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*) \|$", section, re.MULTILINE)
    named = {role: may for roles, may in rows for role in re.findall(r"`(\w+)`", roles)}
    assert tuple(named) == ROLES
    for role, may in named.items():
        assert ("write and delete" in may) is (role == "writer")
        assert ("jobs" in may) is ("admin" in RIGHTS[role])


def test_no_other_module_lists_the_roles() -> None:
    """A second list would be one that a new role misses."""
    listed = re.compile(r"[\"']reader[\"'],\s*[\"']writer[\"']")
    found = [
        str(path.relative_to(REPOSITORY))
        for folder in ("core", "plugins", "tests", "tools", "examples")
        for path in (REPOSITORY / folder).rglob("*.py")
        if listed.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["core/memhost/models/roles.py"]
