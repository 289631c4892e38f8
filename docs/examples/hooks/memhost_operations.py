from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from memhost import hookimpl
from memhost.operations import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host


class CountMemories(msgspec.Struct, kw_only=True):
    """How many memories the caller reaches."""


class Counted(msgspec.Struct, frozen=True):
    total: int


async def count(host: Host, call: Call, request: CountMemories) -> Counted:
    _, total = await host.store.list_memories(call.caller.bounds, limit=1)
    return Counted(total)


@hookimpl
def memhost_operations() -> Sequence[Operation]:
    return [
        Operation(
            name="acme_count_memories",
            request=CountMemories,
            response=Counted,
            handler=count,
            summary="Count the memories.",
            access="read",
            tag="Acme",
        )
    ]
