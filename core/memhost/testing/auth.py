"""`AuthConformance`: what every authentication provider must do, as tests.

    class TestMyProvider(AuthConformance):
        @pytest.fixture
        async def authenticator(self, tmp_path):
            async with open_mine(MySettings(...), open_context(tmp_path)) as provider:
                yield provider

        @pytest.fixture
        def valid(self):
            return Credentials(scheme="bearer", token="...")

        @pytest.fixture
        def bounded(self):
            return Credentials(scheme="bearer", token="..."), Scope(users=("ann",))

`valid` are credentials that the provider lets in. `bounded` are credentials of a caller that may reach only a part,
and that part. One whose source of truth can be taken away in a test gives a further fixture, `unreachable`: the same
provider without it. What a provider does without is named in `lacks`: `credentials` if it is to let everybody in
(`open = True`), `bounds` if all of its callers may reach everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pytest

from memhost.errors import MemhostError, Unauthorized, Unavailable
from memhost.models import EVERY_ROLE, Caller, Scope
from memhost.ports import Authenticator, Credentials, Recognises
from memhost.testing.kits.lacking import lacking

ROLES = EVERY_ROLE
_ALG_NONE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImFkbWluIjp0cnVlfQ."
FORGED = {
    "unknown": "not-a-token-that-anyone-made",
    "null": "null",
    "undefined": "undefined",
    "true": "true",
    "zero": "0",
    "admin": "admin",
    "json": '{"sub": "admin", "roles": ["admin"]}',
    "unsigned-jwt": _ALG_NONE,
    "three-parts": "a.b.c",
    "two-dots": "..",
    "sql": "' OR '1'='1",
    "path": "../../../../etc/passwd",
    "glob": "*",
    "template": "{{7*7}}${7*7}",
    "lines": "token\r\nX-Role: admin",
    "nul": "token\x00admin",
    "unicode": "ünïcode-שלום-😀",
    "latin": "\xff\xfe",
    "long": "a" * 100_000,
    "base64": "YWRtaW46YWRtaW4=",
    "percent": "%61%64%6d%69%6e",
}
"""Tokens that nobody has issued."""

_SPOILT = {
    "first-cut": lambda token: token[1:],
    "last-cut": lambda token: token[:-1],
    "more": lambda token: f"{token}x",
    "twice": lambda token: token + token,
    "changed": lambda token: (
        token[: len(token) // 2] + ("A" if token[len(token) // 2] != "A" else "B") + token[len(token) // 2 + 1 :]
    ),
    "reversed": lambda token: token[::-1],
    "inner-space": lambda token: f"{token[:3]} {token[3:]}",
    "swapped-case": str.swapcase,
}

FORMS = (
    Credentials(scheme="bearer", token="word"),  # noqa: S106 - no secret
    Credentials(scheme="bearer", token=_ALG_NONE),
    Credentials(scheme="bearer", token="f" * 64),
    Credentials(scheme="basic", username="ann", token="word"),  # noqa: S106 - no secret
    Credentials(scheme="api-key", token="word"),  # noqa: S106 - no secret
)
"""Credentials of several forms, of which no provider has all."""


@pytest.mark.asyncio
class AuthConformance:
    """Every promise of `memhost.ports.Authenticator` and `Recognises`."""

    lacks: ClassVar[Sequence[str]] = ()
    """Parts that the provider does not have: `credentials`, `bounds`."""

    @pytest.fixture
    def authenticator(self) -> Authenticator:
        """An open provider; override it."""
        raise NotImplementedError("give a fixture `authenticator` that returns your open provider")

    @pytest.fixture
    def valid(self) -> Credentials:
        """Credentials that it lets in; override it unless it lets everybody in."""
        return Credentials()

    @pytest.fixture
    def bounded(self) -> tuple[Credentials, Scope]:
        """Credentials of a caller that may reach only a part, and that part."""
        lacking(self, "bounds", "Give a fixture `bounded`: credentials of a caller bound to a part, and its Scope.")

    @pytest.fixture
    def unreachable(self) -> Authenticator:
        """The provider without what it asks; override it if it asks something."""
        pytest.skip("no fixture `unreachable`: give one if the provider asks something that can be away")

    @pytest.fixture
    def closed(self, authenticator: Authenticator) -> Authenticator:
        """The provider, if it asks for credentials."""
        if authenticator.open:
            lacking(self, "credentials", "The provider lets everybody in (open = True); set open = False.")
        return authenticator

    async def test_it_says_whether_it_lets_everybody_in(self, authenticator: Authenticator) -> None:
        assert isinstance(authenticator.open, bool)

    async def test_a_caller_has_a_subject_and_known_roles(
        self, authenticator: Authenticator, valid: Credentials
    ) -> None:
        caller = await authenticator.authenticate(valid)
        assert isinstance(caller, Caller)
        assert caller.subject, "subject names the caller in logs"
        assert caller.roles, "without a role a caller can do nothing"
        assert caller.roles <= ROLES, f"the roles are {sorted(ROLES)}"
        assert caller.bounds.tenant

    async def test_its_own_credentials_are_recognised(self, authenticator: Authenticator, valid: Credentials) -> None:
        if not isinstance(authenticator, Recognises):
            pytest.skip("its credentials have no form of their own (memhost.ports.Recognises)")
        assert authenticator.recognises(valid) is True
        assert authenticator.recognises(Credentials()) is False, "no credentials have no form"
        assert not all(map(authenticator.recognises, FORMS)), "it would be asked about the credentials of all providers"

    async def test_a_caller_is_bound_to_its_part(
        self, closed: Authenticator, bounded: tuple[Credentials, Scope]
    ) -> None:
        credentials, part = bounded
        assert part != Scope(), "`bounded` names a part: Scope(users=(...,)), namespaces or another tenant"
        assert (await closed.authenticate(credentials)).bounds == part

    async def test_the_same_credentials_are_the_same_caller(
        self, authenticator: Authenticator, valid: Credentials
    ) -> None:
        assert await authenticator.authenticate(valid) == await authenticator.authenticate(valid)

    async def test_calls_may_overlap(self, authenticator: Authenticator, valid: Credentials) -> None:
        callers = await asyncio.gather(*(authenticator.authenticate(valid) for _ in range(10)))
        assert len(set(callers)) == 1

    async def test_the_address_does_not_matter(self, authenticator: Authenticator, valid: Credentials) -> None:
        elsewhere = msgspec.structs.replace(valid, peer="203.0.113.9")
        assert await authenticator.authenticate(elsewhere) == await authenticator.authenticate(valid)

    async def test_without_credentials_there_is_a_challenge(self, closed: Authenticator) -> None:
        with pytest.raises(Unauthorized) as caught:
            await closed.authenticate(Credentials())
        assert caught.value.challenge, "raise Unauthorized(..., challenge=True) where no credential came"

    async def test_a_user_name_alone_is_no_credential(self, closed: Authenticator) -> None:
        with pytest.raises(Unauthorized):
            await closed.authenticate(Credentials(scheme="basic", username="admin"))

    @pytest.mark.parametrize("scheme", ["bearer", "basic", "api-key"])
    async def test_an_empty_secret_is_no_credential(
        self, closed: Authenticator, valid: Credentials, scheme: str
    ) -> None:
        for token in ("", " "):
            for username in ("", valid.username):
                with pytest.raises(Unauthorized):
                    await closed.authenticate(Credentials(scheme=scheme, username=username, token=token))

    @pytest.mark.parametrize("username", ["", " ", "admin", "root", "ünïcode", "a\x00b"])
    async def test_the_name_belongs_to_the_secret(
        self, closed: Authenticator, valid: Credentials, username: str
    ) -> None:
        if not valid.username or username == valid.username:
            pytest.skip("its credentials have no user name, or it is this one")
        with pytest.raises(Unauthorized):
            await closed.authenticate(msgspec.structs.replace(valid, username=username))

    @pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
    async def test_forged_tokens_are_refused(self, closed: Authenticator, valid: Credentials, token: str) -> None:
        with pytest.raises(Unauthorized):
            await closed.authenticate(Credentials(scheme="bearer", token=token))
        with pytest.raises(Unauthorized):
            await closed.authenticate(msgspec.structs.replace(valid, token=token))

    @pytest.mark.parametrize("spoil", _SPOILT.values(), ids=_SPOILT)
    async def test_spoilt_tokens_are_refused(self, closed: Authenticator, valid: Credentials, spoil: object) -> None:
        assert callable(spoil)
        spoilt = spoil(valid.token)
        if spoilt == valid.token:
            pytest.skip("it changes nothing in this token")
        with pytest.raises(Unauthorized):
            await closed.authenticate(msgspec.structs.replace(valid, token=spoilt))

    async def test_a_refusal_does_not_repeat_the_secret(self, closed: Authenticator, valid: Credentials) -> None:
        spoilt = f"{valid.token}x"
        with pytest.raises(Unauthorized) as caught:
            await closed.authenticate(msgspec.structs.replace(valid, token=spoilt))
        assert valid.token not in caught.value.message, "messages end up in logs"

    async def test_a_refusal_leaves_nothing_behind(self, closed: Authenticator, valid: Credentials) -> None:
        before = await closed.authenticate(valid)
        with pytest.raises(Unauthorized):
            await closed.authenticate(msgspec.structs.replace(valid, token=f"{valid.token}x"))
        assert await closed.authenticate(valid) == before

    async def test_an_outage_is_no_refusal(self, unreachable: Authenticator, valid: Credentials) -> None:
        with pytest.raises(MemhostError) as caught:
            await unreachable.authenticate(valid)
        assert isinstance(caught.value, Unavailable), "raise Unavailable: the token may be good"
