"""The REST interface keeps every promise of an interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from memhost.host import Host
from memhost.testing.interface import Door, InterfaceConformance, Outcome
from memhost_rest.routes import ROWS


class RestDoor:
    """Calls operations by their routes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._rows = {row.operation: row for row in ROWS}

    def offers(self, operation: str) -> bool:
        return operation in self._rows

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        row, left = self._rows[operation], dict(arguments)
        parts = [quote(str(left.pop(part[1:-1])), safe="") if part.startswith("{") else part for part in row.segments]
        query = {key: left.pop(key) for key in row.query if key in left}
        answer = await self._client.request(
            row.verb,
            "/" + "/".join(parts),
            params={key: json.dumps(value) if isinstance(value, bool) else value for key, value in query.items()},
            json=left if row.body != "none" else None,
            headers={"authorization": f"Bearer {token}"} if token else {},
        )
        body = answer.json()
        return Outcome("ok", body) if answer.is_success else Outcome(body["code"], body["detail"])


class TestRest(InterfaceConformance):
    interface = "rest"

    def door(self, host: Host, client: httpx.AsyncClient) -> Door:
        return RestDoor(client)
