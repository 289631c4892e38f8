"""Operations for monitors and operators: health, readiness, plugins, background jobs."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TAG = "Administration"


class ListJobs(msgspec.Struct, kw_only=True):
    """Which background jobs to list."""

    state: Annotated[
        Literal["pending", "waiting", "running", "dead"] | None,
        Meta(description="Only jobs in this state; absent: all.", examples=["dead"]),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Most jobs to return.", examples=[100])] = 100
    offset: Annotated[int, Meta(ge=0, description="Jobs to skip.", examples=[0])] = 0


class PluginName(msgspec.Struct, kw_only=True):
    """Which plugin."""

    name: Annotated[str, Meta(description="Entry-point name of the plugin.", examples=["interface-rest"])]


class JobId(msgspec.Struct, kw_only=True):
    """Which job."""

    job_id: Annotated[str, Meta(description="Id of the background job.", examples=["01KATV2R8GQ4T1V5S0S1J3X9ZB"])]
