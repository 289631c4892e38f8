"""The suite of interfaces fails for interfaces that are wrong in one way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from memhost.host import Host
from memhost.testing.interface import Door, InterfaceConformance, Outcome
from memhost_rest.routes import route_of
from tests.plugins.interfaces.test_interface_conformance import RestDoor
from tests.support.kits import outcomes


class Good(RestDoor):
    """A door of REST; mutants change what the client sends or is told, as a wrong interface would."""

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        return await super().call(operation, arguments, token)


class DropsUnknown(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        known = {name: value for name, value in arguments.items() if not name.startswith("acme")}
        return await super().call(operation, known, token)


class AcceptsUnknown(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        answer = await super().call(operation, arguments, token)
        return Outcome("ok", {}) if "acme_unknown" in arguments else answer


class EverybodyIsAdmin(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        return await super().call(operation, arguments, "admin")


class RefusalIsOk(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        found = await super().call(operation, arguments, token)
        return Outcome("ok", {}) if found.code == "forbidden" else found


class WrongCode(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        found = await super().call(operation, arguments, token)
        return Outcome("error", found.answer) if found.code == "not_found" else found


class OutageIsEmpty(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        found = await super().call(operation, arguments, token)
        return Outcome("ok", {"memories": []}) if found.code == "store_unavailable" else found


class CutsTexts(Good):
    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        found = await super().call(operation, arguments, token)
        if isinstance(found.answer, dict) and "text" in found.answer:
            found.answer["text"] = found.answer["text"][:1000]
        return found


class FirstCaller(Good):
    """One caller for all calls: the first."""

    token: str | None = None

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        self.token = self.token or token
        return await super().call(operation, arguments, self.token)


class NoPeer(Good):
    """The client's address is lost on the way."""

    def __init__(self, client: httpx.AsyncClient, rows: Any) -> None:
        super().__init__(client, rows)
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        inner = transport.app

        async def without(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, "client": None}, receive, send)

        transport.app = without


def suite_of(door: type[Good]) -> type:
    class Suite(InterfaceConformance):
        interface: ClassVar[str] = "rest"

        def door(self, host: Host, client: httpx.AsyncClient) -> Door:
            return door(client, map(route_of, host.operations))

    return Suite


MUTANTS = {
    DropsUnknown: "test_unknown_arguments_are_told",
    AcceptsUnknown: "test_unknown_arguments_are_told",
    NoPeer: "test_the_address_of_the_client_is_passed_on",
    EverybodyIsAdmin: "test_nobody_writes_for_another",
    RefusalIsOk: "test_nobody_writes_for_another",
    WrongCode: "test_what_is_not_there_is_not_found",
    OutageIsEmpty: "test_an_outage_is_an_error_and_no_empty_answer",
    CutsTexts: "test_texts_come_back_as_they_were",
    FirstCaller: "test_users_do_not_see_each_other",
}


@pytest.mark.parametrize(("mutant", "test"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS])
def test_the_suite_fails_for(mutant: type[Good], test: str, tmp_path: Path) -> None:
    assert outcomes(suite_of(mutant), tmp_path, test).failed == {test}


def test_the_suite_passes_for_the_door_that_they_were_made_from(tmp_path: Path) -> None:
    tests = set(MUTANTS.values())
    assert outcomes(suite_of(Good), tmp_path, " or ".join(sorted(tests))).passed == tests
