"""The auth provider `jwt` against an issuer on loopback: accepted and refused tokens, and outages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from tests.support.hosts import running_host
from tests.support.oidc import AUDIENCE, Issuer, enter, jwk, public_pem, rsa_key, trusting, why_not

from memhost.errors import ConfigurationError, Unauthorized, Unavailable
from memhost.models import Caller, Scope
from memhost.ports import Credentials
from memhost.testing.clock import FakeClock
from memhost_auth_jwt import JwtSettings
from memhost_auth_jwt.provider import JwtAuthenticator


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def provider(issuer: Issuer, tmp_path: Path, clock: FakeClock) -> AsyncIterator[JwtAuthenticator]:
    async with trusting(issuer, tmp_path, clock) as opened:
        yield opened


# -- who gets in -------------------------------------------------------------------------------------------


async def test_a_good_token_is_a_writer_bound_to_its_subject(issuer: Issuer, provider: JwtAuthenticator) -> None:
    caller = await enter(provider, issuer.token())
    assert caller == Caller(subject="ann", bounds=Scope(users=("ann",)), roles=frozenset({"writer"}))
    await enter(provider, issuer.token(aud=["other", AUDIENCE]))
    assert issuer.asked == 1


async def test_without_credentials_there_is_a_challenge(provider: JwtAuthenticator) -> None:
    with pytest.raises(Unauthorized) as caught:
        await provider.authenticate(Credentials())
    assert caught.value.challenge


async def test_the_key_address_is_derived_where_there_is_no_discovery_document(
    issuer: Issuer, provider: JwtAuthenticator
) -> None:
    issuer.discovery = False
    await enter(provider, issuer.token())


async def test_the_key_address_can_be_given(issuer: Issuer, tmp_path: Path, clock: FakeClock) -> None:
    async with trusting(
        issuer, tmp_path, clock, issuer=("https://elsewhere",), jwks_url=f"{issuer.url}/keys"
    ) as provider:
        await enter(provider, issuer.token(iss="https://elsewhere"))


async def test_several_issuers_have_keys_of_their_own(issuer: Issuer, tmp_path: Path, clock: FakeClock) -> None:
    with Issuer() as other:
        other.keys = [jwk(1, "first")]
        async with trusting(issuer, tmp_path, clock, issuer=(issuer.url, other.url)) as provider:
            await enter(provider, issuer.token())
            await enter(provider, other.token(number=1))
            assert "signature" in await why_not(provider, other.token(number=0))


# -- who does not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"exp": lambda now: now - 61}, "expired"),
        ({"exp": None}, "lacks the claim exp"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": "9999999999"}, "exp must be a number"),
        ({"exp": True}, "expired"),
        ({"exp": float("nan")}, ""),
        ({"exp": float("inf")}, ""),
        ({"exp": 10**400}, "must be a number"),
        ({"nbf": 10**400}, "not valid yet"),
        ({"iat": 10**400}, "must be a number"),
        ({"exp": 1e300}, "must be a number"),
        ({"nbf": float("nan")}, ""),
        ({"nbf": float("-inf")}, ""),
        ({"iat": float("nan")}, ""),
        ({"iat": float("-inf")}, ""),
        ({"exp": [9999999999]}, ""),
        ({"exp": {}}, ""),
        ({"nbf": "1"}, "nbf must be a number"),
        ({"iat": "1"}, "iat must be a number"),
        ({"nbf": lambda now: now + 120}, "not valid yet"),
        ({"iat": lambda now: now + 400}, "future"),
        ({"iat": None}, "lacks the claim iat"),
        ({"iat": "now"}, "iat"),
        ({"sub": None}, "lacks the claim sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "malformed"),
        ({"aud": "other"}, "another application"),
        ({"aud": None}, "lacks the claim aud"),
        ({"aud": []}, "lacks the claim aud"),
        ({"iss": "https://elsewhere"}, "does not trust"),
        ({"iss": None}, "iss"),
        ({"iss": ["a"]}, "iss"),
    ],
)
async def test_wrong_claims_are_refused(
    issuer: Issuer, provider: JwtAuthenticator, claims: Mapping[str, Any], cause: str
) -> None:
    now = int(time.time())
    given = {name: value(now) if callable(value) else value for name, value in claims.items()}
    if given.get("sub") == 7 or isinstance(given.get("iss"), list):
        token = unsafe(issuer.claims(**given), {"alg": "RS256", "kid": "first"}, rs256)
    else:
        token = issuer.token(**given)
    assert cause in await why_not(provider, token)


async def test_clocks_may_differ_a_little(issuer: Issuer, provider: JwtAuthenticator) -> None:
    now = int(time.time())
    await enter(provider, issuer.token(exp=now - 30, nbf=now + 30, iat=now + 200))


def unsafe(claims: Mapping[str, Any], header: Mapping[str, Any], sign: Any) -> str:
    """A token put together by hand, as an attacker would."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b".".join(parts)
    return b".".join([signed, base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")]).decode()


def rs256(signed: bytes) -> bytes:
    return jwt.get_algorithm_by_name("RS256").sign(signed, rsa_key(0))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
async def test_attack_no_signature(issuer: Issuer, provider: JwtAuthenticator, algorithm: str) -> None:
    for sign in (lambda _: b"", rs256):
        token = unsafe(issuer.claims(), {"alg": algorithm, "kid": "first"}, sign)
        assert "Invalid JWT" in await why_not(provider, token)


async def test_attack_public_key_as_shared_secret(issuer: Issuer, provider: JwtAuthenticator) -> None:
    for secret in (public_pem(0), json.dumps(jwk(0, "first")).encode()):
        token = unsafe(
            issuer.claims(),
            {"alg": "HS256", "kid": "first"},
            lambda signed, secret=secret: hmac.new(secret, signed, hashlib.sha256).digest(),
        )
        assert "algorithm" in await why_not(provider, token)


async def test_attack_symmetric_key_in_the_key_set(issuer: Issuer, provider: JwtAuthenticator) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    issuer.keys.append({"kty": "oct", "kid": "shared", "k": secret, "alg": "HS256"})
    token = jwt.encode(issuer.claims(), b"s" * 32, algorithm="HS256", headers={"kid": "shared"})
    assert "does not publish" in await why_not(provider, token)


async def test_attack_other_algorithm_than_the_keys_own(issuer: Issuer, tmp_path: Path, clock: FakeClock) -> None:
    async with trusting(issuer, tmp_path, clock, algorithms=("RS256", "PS256", "RS512")) as provider:
        for name in ("PS256", "RS512"):
            token = jwt.encode(issuer.claims(), rsa_key(0), algorithm=name, headers={"kid": "first"})
            assert "algorithm" in await why_not(provider, token)


async def test_attack_key_in_the_header(issuer: Issuer, provider: JwtAuthenticator) -> None:
    for header in ({"jwk": jwk(1, "first")}, {"jku": "https://attacker/keys"}, {"x5u": "https://attacker"}):
        assert "signature" in await why_not(provider, issuer.token(number=1, headers=header))
    token = unsafe(issuer.claims(), {"alg": "RS256", "kid": "first", "crit": ["exp"], "exp": 1}, rs256)
    assert "malformed" in await why_not(provider, token)


async def test_attack_another_key_and_changed_claims(issuer: Issuer, provider: JwtAuthenticator) -> None:
    assert "signature" in await why_not(provider, issuer.token(number=1))
    header, _, signature = issuer.token().split(".")
    claims = base64.urlsafe_b64encode(json.dumps(issuer.claims(sub="bob")).encode()).rstrip(b"=").decode()
    assert "signature" in await why_not(provider, f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "....", "e30.e30.e30", "ß", "e30." + "A" * 50_000 + ".A"])
async def test_malformed_tokens_are_refused(provider: JwtAuthenticator, token: str) -> None:
    assert "Invalid JWT" in await why_not(provider, token)


async def test_a_token_must_name_its_key(issuer: Issuer, provider: JwtAuthenticator) -> None:
    token = unsafe(issuer.claims(), {"alg": "RS256"}, rs256)
    assert "kid" in await why_not(provider, token)
    token = unsafe(issuer.claims(), {"alg": "RS256", "kid": 5}, rs256)
    assert "malformed" in await why_not(provider, token)


# -- keys that change, and outages -------------------------------------------------------------------------


async def test_a_new_key_is_fetched_at_most_once_a_minute(
    issuer: Issuer, provider: JwtAuthenticator, clock: FakeClock
) -> None:
    await enter(provider, issuer.token())
    issuer.keys.append(jwk(1, "second"))
    second = issuer.token(number=1, headers={"kid": "second"})
    assert "does not publish" in await why_not(provider, second)
    assert issuer.asked == 1
    clock.advance(60)
    await enter(provider, second)
    assert issuer.asked == 2
    for number in range(5):
        await why_not(provider, issuer.token(headers={"kid": f"unknown-{number}"}))
    assert issuer.asked == 2


async def test_a_key_that_was_taken_back_is_not_used_after_an_hour(
    issuer: Issuer, provider: JwtAuthenticator, clock: FakeClock
) -> None:
    await enter(provider, issuer.token())
    issuer.keys = [jwk(1, "second")]
    clock.advance(3599)
    await enter(provider, issuer.token())
    clock.advance(1)
    assert "does not publish" in await why_not(provider, issuer.token())


async def test_known_keys_outlive_an_outage_by_a_day(
    issuer: Issuer, provider: JwtAuthenticator, clock: FakeClock
) -> None:
    token = issuer.token()
    await enter(provider, token)
    issuer.down = True
    clock.advance(86_399)
    await enter(provider, token)
    clock.advance(1)
    with pytest.raises(Unavailable) as caught:
        await enter(provider, token)
    assert "127.0.0.1" not in caught.value.message
    issuer.down = False
    clock.advance(60)
    await enter(provider, token)


async def test_an_outage_without_known_keys_is_unavailable_and_ends_soon(
    issuer: Issuer, provider: JwtAuthenticator, clock: FakeClock
) -> None:
    issuer.down = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await enter(provider, issuer.token())
    issuer.down = False
    with pytest.raises(Unavailable):
        await enter(provider, issuer.token())
    clock.advance(5)
    await enter(provider, issuer.token())


async def test_nobody_listening_is_unavailable_and_the_log_says_where(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with Issuer() as gone:
        pass
    async with trusting(gone, tmp_path, clock) as provider:
        with caplog.at_level("WARNING"), pytest.raises(Unavailable):
            await enter(provider, gone.token())
    assert gone.url in str([getattr(record, "fields", "") for record in caplog.records])


async def test_a_discovery_document_of_another_issuer_is_not_believed(
    issuer: Issuer, tmp_path: Path, clock: FakeClock
) -> None:
    async with trusting(issuer, tmp_path, clock, issuer=(f"{issuer.url}/",)) as provider:
        with pytest.raises(Unavailable):
            await enter(provider, issuer.token(iss=f"{issuer.url}/"))


async def test_useless_entries_of_a_key_set_are_left_out(issuer: Issuer, provider: JwtAuthenticator) -> None:
    useless: list[Any] = [
        "text",
        {"kid": "a"},
        {"kid": "b", "kty": "RSA", "n": "!", "e": "AQAB"},
        jwk(1, "c", use="enc"),
        jwk(1, "d", alg="RSA-OAEP"),
        {**jwk(1, "e"), "kid": None},
        {**jwk(1, "f"), "kty": ["RSA"]},
        {**jwk(1, "g"), "n": 5},
        {**jwk(1, "h"), "alg": ["RS256"]},
    ]
    issuer.keys = [*useless, *issuer.keys]
    await enter(provider, issuer.token())
    for kid in "abcdfgh":
        assert "does not publish" in await why_not(provider, issuer.token(number=1, headers={"kid": kid}))


# -- configuration -----------------------------------------------------------------------------------------


async def refused_start(folder: Path, **settings: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        async with running_host(folder, store="memory", settings=settings):
            pass
    return caught.value.problems


async def test_the_variables_of_agent_memory_server_are_understood(issuer: Issuer, tmp_path: Path) -> None:
    settings = {
        "AUTH_MODE": "oauth2",
        "OAUTH2_ISSUER_URL": issuer.url,
        "OAUTH2_AUDIENCE": AUDIENCE,
        "OAUTH2_JWKS_URL": f"{issuer.url}/keys",
        "OAUTH2_ALGORITHMS": '["RS256"]',
        "AUTH_CLAIM_USER": "none",
        "AUTH_ROLE_NAMES": '{"boss": "admin"}',
    }
    async with running_host(tmp_path, store="memory", settings=settings) as host:
        assert host.configuration.warnings == []
        caller = await host.authenticate(Credentials(token=issuer.token(roles=["boss"])))
        assert (caller.bounds, set(caller.roles)) == (Scope(), {"admin"})


async def test_settings_that_cannot_work_or_are_not_safe_stop_the_start(tmp_path: Path) -> None:
    assert "JWT_ISSUER" in (await refused_start(tmp_path, AUTH="jwt"))[0]
    (unbound,) = await refused_start(tmp_path, AUTH="jwt", OAUTH2_ISSUER_URL="https://issuer")
    assert "JWT_ANY_AUDIENCE" in unbound
    async with running_host(
        tmp_path,
        store="memory",
        settings={"AUTH": "jwt", "OAUTH2_ISSUER_URL": "https://issuer", "JWT_ANY_AUDIENCE": "true"},
    ):
        pass
    good = {"AUTH": "jwt", "OAUTH2_ISSUER_URL": "https://issuer", "OAUTH2_AUDIENCE": "memhost"}
    for name in ("HS256", "none", "RS999"):
        told = await refused_start(tmp_path, **good, OAUTH2_ALGORITHMS=f"RS256,{name}")
        assert len(told) == 1
        assert name in told[0]
    assert "https://" in (await refused_start(tmp_path, AUTH="jwt", OAUTH2_ISSUER_URL="issuer"))[0]
    several = await refused_start(
        tmp_path, AUTH="jwt", OAUTH2_ISSUER_URL="https://a,https://b", OAUTH2_JWKS_URL="https://a/keys"
    )
    assert "OAUTH2_JWKS_URL" in several[0]
    assert await refused_start(tmp_path, **good, AUTH_ROLE_NAMES='{"a": "king"}')
    for address in ("https://", "https://a b", "ftp://issuer", "https://[::1"):
        assert address in (await refused_start(tmp_path, AUTH="jwt", OAUTH2_ISSUER_URL=address))[0]


def test_settings_have_the_promised_defaults() -> None:
    settings = JwtSettings(issuer=("https://i",))
    assert settings.algorithms == ("RS256",)
    assert settings.leeway_s == 60
    assert msgspec.structs.asdict(settings)["claim_user"] == "sub"
