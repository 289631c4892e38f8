"""The metrics interface: `GET /metrics` for Prometheus.

The library is imported when the interface is built, not when the plugin is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from memhost import hookimpl
from memhost.settings import setting

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost.specs import InterfaceSpec, Mount


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may read the metrics."""

    open: Annotated[bool, setting("Let anyone read the metrics; otherwise this needs the role operator or admin.")] = (
        False
    )


def _build(host: Host, settings: MetricsSettings) -> Mount:
    from memhost_metrics.page import build_mount

    return build_mount(host, settings)


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """The metrics interface."""
    from memhost.specs import InterfaceSpec

    return [
        InterfaceSpec(
            name="metrics",
            summary="GET /metrics in Prometheus text format.",
            build=_build,
            settings=MetricsSettings,
        )
    ]
