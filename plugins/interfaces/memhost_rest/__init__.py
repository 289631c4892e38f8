"""The REST interface: wire-compatible with Agent Memory Server, mounted under `/v1`.

It translates HTTP to operations and back, and holds no rule of its own. Litestar is imported when
the interface is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memhost import hookimpl

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost.specs import InterfaceSpec, Mount


def _build(host: Host, _settings: Any) -> Mount:
    from memhost_rest.handlers import build_mount

    return build_mount(host)


def _shown(_settings: Any) -> Mapping[str, str]:
    return {"API": "{url}/docs", "Try": "memhost demo · curl {url}/v1/health"}


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """The REST interface."""
    from memhost.specs import InterfaceSpec

    return [
        InterfaceSpec(
            name="rest",
            summary="HTTP interface under /v1, wire-compatible with Agent Memory Server clients.",
            build=_build,
            shown=_shown,
        )
    ]
