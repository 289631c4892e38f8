"""The keys that an issuer signs with: fetched when they are needed, and kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from memhost.errors import Unauthorized, Unavailable
from memhost.logs import log
from memhost.ports import Clock

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

FRESH_FOR = timedelta(hours=1)
USABLE_FOR = timedelta(hours=24)
"""So long known keys are used while the issuer cannot be reached."""
ASK_EVERY = timedelta(minutes=1)
ASK_EVERY_WITHOUT_KEYS = timedelta(seconds=5)
_LARGEST = 1024 * 1024
_FETCH_ALL_S = 10.0
"""Time that an issuer may take for all requests at once; other callers wait for its keys until then."""
_PLAIN = {"accept-encoding": "identity"}

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""Signature algorithms by type of key; all of them asymmetric."""


class FetchError(Exception):
    """The issuer did not give what it was asked for; the text is for the log."""


class VerifyingKey(msgspec.Struct, frozen=True):
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class KeySet:
    """Keys of one issuer by `kid`.

    They are fetched again after an hour, and for an unknown `kid` at most once a minute. While that fails, known ones
    are used for a day.
    """

    def __init__(
        self, *, issuer: str, jwks_url: str | None, algorithms: tuple[str, ...], client: httpx.AsyncClient, clock: Clock
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._algorithms = algorithms
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[str, VerifyingKey] = {}
        self._read_at: datetime | None = None
        self._asked_at: datetime | None = None

    async def find(self, kid: str) -> VerifyingKey:
        """The key of that id.

        Raises:
            Unauthorized: The issuer has no such key.
            Unavailable: The issuer cannot be reached, and its known keys are missing or too old.
        """
        if kid not in self._keys or self._older_than(FRESH_FOR):
            async with self._lock:
                if (kid not in self._keys or self._older_than(FRESH_FOR)) and self._may_ask():
                    await self._refresh()
        if self._older_than(USABLE_FOR):
            raise Unavailable("The issuer's keys cannot be fetched now; try again later.")
        found = self._keys.get(kid)
        if found is None:
            raise Unauthorized("Invalid JWT: the issuer does not publish the key that signed it.")
        return found

    def _older_than(self, age: timedelta) -> bool:
        return self._read_at is None or self._clock.now() - self._read_at >= age

    def _may_ask(self) -> bool:
        wait = ASK_EVERY if self._read_at is not None else ASK_EVERY_WITHOUT_KEYS
        return self._asked_at is None or self._clock.now() - self._asked_at >= wait

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_ALL_S):
                content = await self._get(self._jwks_url or await self._discover())
            keys = content.get("keys")
            if not isinstance(keys, list):
                raise FetchError("the key set has no list of keys")
            self._keys = parse_keys(keys, self._algorithms)
            self._read_at = self._clock.now()
        except (FetchError, TimeoutError) as error:
            cause = str(error) or f"no answer within {_FETCH_ALL_S:g} s"
            log(logger, logging.WARNING, "auth.keys_not_fetched", issuer=self._issuer, error=cause)
        finally:
            self._asked_at = self._clock.now()

    async def _discover(self) -> str:
        """Where the keys are: what the discovery document says, or `/.well-known/jwks.json` if there is none."""
        base = self._issuer.rstrip("/") + "/.well-known/"
        document = await self._get(base + "openid-configuration", missing_ok=True)
        if not document:
            return base + "jwks.json"
        if document.get("issuer") != self._issuer:
            raise FetchError(f"its discovery document names another issuer, {document.get('issuer')!r}: set that one")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise FetchError("its discovery document has no jwks_uri")
        if self._issuer.startswith("https://") and not address.startswith("https://"):
            raise FetchError(
                f"its discovery document names keys at {address}, which is not HTTPS, so anyone on the "
                "network path could replace them"
            )
        return address

    async def _get(self, address: str, *, missing_ok: bool = False) -> dict[str, Any]:
        import httpx

        content = b""
        try:
            async with self._client.stream("GET", address, headers=_PLAIN) as answer:
                if answer.status_code == 404 and missing_ok:
                    return {}
                if answer.status_code != 200:
                    raise FetchError(f"{address} answered with status {answer.status_code}")
                async for part in answer.aiter_raw():
                    content += part
                    if len(content) > _LARGEST:
                        raise FetchError(f"{address} answered with more than {_LARGEST} bytes")
            found = json.loads(content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"{address}: {type(error).__name__} {error}") from error
        except (ValueError, RecursionError) as error:
            raise FetchError(f"{address} did not answer with JSON") from error
        if not isinstance(found, dict):
            raise FetchError(f"{address} did not answer with an object")
        return found


def parse_keys(keys: list[Any], allowed: tuple[str, ...]) -> dict[str, VerifyingKey]:
    """The keys that can verify signatures of the allowed algorithms, by `kid`; others are left out."""
    import jwt

    found: dict[str, VerifyingKey] = {}
    for item in keys:
        if not isinstance(item, dict) or not isinstance(item.get("kid"), str) or item.get("use") == "enc":
            continue
        fitting = FAMILIES.get(str(item.get("kty")), ())
        wanted = (item["alg"],) if "alg" in item else fitting
        algorithms = tuple(name for name in allowed if name in fitting and name in wanted)
        if not algorithms:
            continue
        try:
            found[item["kid"]] = VerifyingKey(jwt.PyJWK(item, algorithms[0]).key, algorithms)
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            log(logger, logging.WARNING, "auth.key_unusable", kid=item["kid"], error=type(error).__name__)
    return found
