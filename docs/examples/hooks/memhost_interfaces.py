from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.operations import Call
from memhost.ports import Credentials
from memhost.specs import InterfaceSpec, Mount, NoSettings

if TYPE_CHECKING:
    from memhost.host import Host


def build(host: Host, settings: NoSettings) -> Mount:
    from litestar import get

    @get("/acme/health")
    async def health() -> dict[str, int]:
        caller = await host.authenticate(Credentials())  # or with what the request carried
        operation = host.operations["health"]
        answer = await host.execute("health", Call(caller=caller, request_id="acme"), operation.request())
        return {"now": answer.now}

    return Mount(handlers=[health])


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    return [InterfaceSpec(name="acme", summary="One page.", build=build)]
