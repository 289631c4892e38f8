"""The roles of callers, and the rights that each holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Role = Literal["reader", "writer", "operator", "admin"]
Right = Literal["read", "write", "delete", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
"""All roles; each has at least the rights of the one before it.

A new role takes a place in this order (the provider `jwt` narrows a caller by it), a row in `RIGHTS`, and a row in the
table of docs/auth.md. Roles of messages (`user`, `assistant`) have nothing to do with these.
"""

EVERY_ROLE: frozenset[str] = frozenset(ROLES)
"""The roles of a caller who may do everything inside its bounds."""

RIGHTS: Mapping[Role, frozenset[Right]] = {
    "reader": frozenset({"read"}),
    "writer": frozenset({"read", "write", "delete"}),
    "operator": frozenset({"read", "write", "delete", "admin"}),
    "admin": frozenset({"read", "write", "delete", "admin"}),
}
"""Permissions of each role. `admin` ones are only for callers who are bound to nothing inside their tenant.

The role `admin` differs from `operator` where providers of authentication say so: it alone hands out credentials, and
no claim binds it to a user.
"""

HOLDERS: Mapping[Right, frozenset[Role]] = {
    right: frozenset(role for role in ROLES if right in RIGHTS[role]) for right in get_args(Right)
}
"""The roles that hold each right."""

OPERATORS = HOLDERS["admin"]
"""The roles that may administer."""
