"""Operations for monitors and operators: health, readiness, plugins, background jobs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TAG = "Administration"


class ListJobs(msgspec.Struct, kw_only=True):
    """Which background jobs to list."""

    state: Literal["pending", "waiting", "running", "dead"] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class PluginName(msgspec.Struct, kw_only=True):
    """Which plugin, by its entry-point name."""

    name: str


class JobId(msgspec.Struct, kw_only=True):
    """Which job."""

    job_id: str
