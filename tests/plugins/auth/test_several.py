"""Several providers at once: each credential goes to the provider of its form."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.hosts import running_host
from tests.support.oidc import AUDIENCE, Issuer

from memhost.errors import ConfigurationError, Unauthorized
from memhost.host import Host
from memhost.ports import Credentials

OWN = "an-own-token-of-more-than-32-characters"


async def enter(host: Host, token: str) -> str:
    return (await host.authenticate(Credentials(scheme="bearer", token=token))).subject


@pytest.mark.parametrize("mode", ["token,oauth2", "jwt, token"])
async def test_the_form_of_the_credential_decides(mode: str, tmp_path: Path) -> None:
    with Issuer() as issuer:
        settings = {"OAUTH2_ISSUER_URL": issuer.url, "OAUTH2_AUDIENCE": AUDIENCE, "AUTH_TOKENS": OWN}
        async with running_host(tmp_path, store="memory", settings={"AUTH_MODE": mode, **settings}) as host:
            assert not host.authenticator.open
            assert host.authenticator.issuers == (issuer.url,)  # type: ignore[attr-defined]
            assert await enter(host, OWN) == "AUTH_TOKENS 1"
            assert await enter(host, issuer.token()) == "ann"
            asked = issuer.asked
            for wrong, sentence in (
                (OWN + "x", "Unknown token"),
                ("a.b.c", "Invalid JWT"),
                (issuer.token()[:-4] + "AAAA", "Invalid JWT"),
                ("", "Send a token"),
            ):
                with pytest.raises(Unauthorized, match=sentence):
                    await enter(host, wrong)
            assert issuer.asked == asked


@pytest.mark.parametrize("mode", ["token,none", "none,token", "token,token", "token,no-such"])
async def test_what_cannot_be_combined_stops_the_start(mode: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        async with running_host(tmp_path, store="memory", settings={"AUTH": mode, "AUTH_TOKENS": OWN}):
            raise AssertionError("it started")
