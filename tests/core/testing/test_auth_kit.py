"""The suite of authentication providers fails for providers that are wrong in one way."""

from __future__ import annotations

import hmac
from pathlib import Path

import msgspec
import pytest

from memhost.errors import Unauthorized
from memhost.models import Caller, Scope
from memhost.ports import Authenticator, Credentials
from memhost.testing.auth import AuthConformance
from tests.support.kits import outcomes

KEYS = {"ann": "Correct-Horse-Battery-Staple", "bob": "Purple-Lamp-Under-Water"}


class Good:
    """Users with keys, by Basic."""

    open = False

    def recognises(self, credentials: Credentials) -> bool:
        return credentials.scheme == "basic"

    def known(self, credentials: Credentials) -> bool:
        key = KEYS.get(credentials.username, "")
        return bool(key) and hmac.compare_digest(key.encode(), credentials.token.encode("utf-8", "replace"))

    async def authenticate(self, credentials: Credentials) -> Caller:
        if credentials.scheme != "basic" or not credentials.token:
            raise Unauthorized("Send user and key.", challenge=True)
        if not self.known(credentials):
            raise Unauthorized("The user or the key is wrong.")
        return self.caller(credentials)

    def caller(self, credentials: Credentials) -> Caller:
        return Caller(
            subject=credentials.username,
            roles=frozenset({"writer"}),
            bounds=Scope(users=(credentials.username,)),
        )


class Open(Good):
    open = True


class RecognisesAll(Good):
    def recognises(self, credentials: Credentials) -> bool:
        return credentials != Credentials()


class RecognisesNothing(Good):
    def recognises(self, credentials: Credentials) -> bool:
        return False


class Unbound(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), bounds=Scope())


class BoundToAnother(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), bounds=Scope(users=("ann",)))


class NobodyIsRoot(Good):
    async def authenticate(self, credentials: Credentials) -> Caller:
        if credentials.scheme == "basic" and not credentials.username:
            return Caller(subject="root", roles=frozenset({"admin"}))
        return await super().authenticate(credentials)


class EmptyIsGood(Good):
    async def authenticate(self, credentials: Credentials) -> Caller:
        if credentials.scheme == "basic" and not credentials.token.strip():
            return self.caller(msgspec.structs.replace(credentials, username="ann"))
        return await super().authenticate(credentials)


class CrashesOnUmlauts(Good):
    def known(self, credentials: Credentials) -> bool:
        return hmac.compare_digest(KEYS.get(credentials.username, "no"), credentials.token)


class AnyName(Good):
    def known(self, credentials: Credentials) -> bool:
        return credentials.token in KEYS.values()


class AnyKey(Good):
    def known(self, credentials: Credentials) -> bool:
        return credentials.username in KEYS


class Shortened(Good):
    def known(self, credentials: Credentials) -> bool:
        return len(credentials.token) > 8 and KEYS.get(credentials.username, "").startswith(credentials.token)


class Uncased(Good):
    def known(self, credentials: Credentials) -> bool:
        return KEYS.get(credentials.username, "").casefold() == credentials.token.casefold()


class NoChallenge(Good):
    async def authenticate(self, credentials: Credentials) -> Caller:
        try:
            return await super().authenticate(credentials)
        except Unauthorized as error:
            raise Unauthorized(error.message) from None


class TellsTheSecret(Good):
    async def authenticate(self, credentials: Credentials) -> Caller:
        try:
            return await super().authenticate(credentials)
        except Unauthorized as error:
            raise Unauthorized(f"{credentials.token} is wrong.", challenge=error.challenge) from None


class UnknownRole(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), roles=frozenset({"owner"}))


class NoRole(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), roles=frozenset())


class NoSubject(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), subject="")


class ByAddress(Good):
    def caller(self, credentials: Credentials) -> Caller:
        return msgspec.structs.replace(super().caller(credentials), subject=credentials.username + credentials.peer)


class KeyErrors(Good):
    def known(self, credentials: Credentials) -> bool:
        return KEYS[credentials.username] == credentials.token


class Changing(Good):
    count = 0

    def caller(self, credentials: Credentials) -> Caller:
        self.count += 1
        return msgspec.structs.replace(super().caller(credentials), subject=f"{credentials.username}-{self.count}")


class LocksOut(Good):
    failed = False

    def known(self, credentials: Credentials) -> bool:
        self.failed = self.failed or not super().known(credentials)
        return not self.failed


def suite_of(provider: type[Good]) -> type:
    class Suite(AuthConformance):
        @pytest.fixture
        def authenticator(self) -> Authenticator:
            return provider()

        @pytest.fixture
        def valid(self) -> Credentials:
            return Credentials(scheme="basic", username="ann", token=KEYS["ann"])

        @pytest.fixture
        def bounded(self) -> tuple[Credentials, Scope]:
            return Credentials(scheme="basic", username="bob", token=KEYS["bob"]), Scope(users=("bob",))

    return Suite


MUTANTS = {
    Open: "test_forged_tokens_are_refused",
    RecognisesAll: "test_its_own_credentials_are_recognised",
    RecognisesNothing: "test_its_own_credentials_are_recognised",
    Unbound: "test_a_caller_is_bound_to_its_part",
    BoundToAnother: "test_a_caller_is_bound_to_its_part",
    NobodyIsRoot: "test_the_name_belongs_to_the_secret",
    EmptyIsGood: "test_an_empty_secret_is_no_credential",
    CrashesOnUmlauts: "test_forged_tokens_are_refused",
    AnyName: "test_the_name_belongs_to_the_secret",
    AnyKey: "test_forged_tokens_are_refused",
    Shortened: "test_spoilt_tokens_are_refused",
    Uncased: "test_spoilt_tokens_are_refused",
    NoChallenge: "test_without_credentials_there_is_a_challenge",
    TellsTheSecret: "test_a_refusal_does_not_repeat_the_secret",
    UnknownRole: "test_a_caller_has_a_subject_and_known_roles",
    NoRole: "test_a_caller_has_a_subject_and_known_roles",
    NoSubject: "test_a_caller_has_a_subject_and_known_roles",
    ByAddress: "test_the_address_does_not_matter",
    KeyErrors: "test_the_name_belongs_to_the_secret",
    Changing: "test_the_same_credentials_are_the_same_caller",
    LocksOut: "test_a_refusal_leaves_nothing_behind",
}


@pytest.mark.parametrize(("mutant", "test"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS])
def test_the_suite_fails_for(mutant: type[Good], test: str, tmp_path: Path) -> None:
    assert test in outcomes(suite_of(mutant), tmp_path).failed


def test_the_suite_passes_for_the_provider_that_they_were_made_from(tmp_path: Path) -> None:
    found = outcomes(suite_of(Good), tmp_path)
    assert not found.failed
    assert found.skipped <= {
        "test_an_outage_is_no_refusal",
        "test_the_name_belongs_to_the_secret",
        "test_spoilt_tokens_are_refused",
    }
    assert found.passed >= set(MUTANTS.values())


def test_a_provider_that_is_to_be_open_says_so(tmp_path: Path) -> None:
    suite = type("Suite", (suite_of(Open),), {"lacks": ("credentials", "bounds")})
    found = outcomes(suite, tmp_path, "forged or challenge or bound")
    assert not found.failed
    assert "test_forged_tokens_are_refused" in found.skipped


def test_a_provider_without_bounded_callers_says_so(tmp_path: Path) -> None:
    class Suite(suite_of(Good)):  # type: ignore[misc]
        bounded = AuthConformance.bounded

    assert outcomes(Suite, tmp_path, "is_bound").failed == {"test_a_caller_is_bound_to_its_part"}
    Suite.lacks = ("bounds",)
    assert outcomes(Suite, tmp_path, "is_bound").skipped == {"test_a_caller_is_bound_to_its_part"}
