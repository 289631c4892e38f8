"""Checking JSON Web Tokens."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from memhost.errors import ConfigurationError, MissingExtra, Unauthorized
from memhost.logs import log
from memhost.models import Caller
from memhost.ports import Clock, Credentials
from memhost_auth_jwt.claims import ClaimReader
from memhost_auth_jwt.keysets import FAMILIES, KeySet

if TYPE_CHECKING:
    from memhost_auth_jwt import JwtSettings

logger = logging.getLogger(__name__)

_MOST_S = 2**53
ISSUED_AHEAD_S = 300.0
_FETCH_LIMIT_S = 5.0


class JwtAuthenticator:
    """Takes tokens that one of the issuers signed."""

    open = False

    def __init__(self, key_sets: Mapping[str, KeySet], settings: JwtSettings) -> None:
        self.issuers = tuple(key_sets)
        self._key_sets = key_sets
        self._settings = settings
        self._claims = ClaimReader(settings)

    def recognises(self, credentials: Credentials) -> bool:
        """Tell whether it looks like a JSON Web Token: three parts between dots."""
        return credentials.token.count(".") == 2

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller that the token's claims describe.

        Raises:
            Unauthorized: There is no token, or it is not valid; the sentence names the cause.
            Unavailable: The issuer's keys are not known and cannot be fetched.
        """
        text = credentials.token
        if not text:
            raise Unauthorized("Send an access token: Authorization: Bearer <token>.", challenge=True)
        kid, issuer = peek(text)
        key_set = self._key_sets.get(issuer)
        if key_set is None:
            raise Unauthorized("Invalid JWT: this server does not trust its issuer.")
        key = await key_set.find(kid)
        return self._claims.caller(self._verify(text, key.key, key.algorithms, issuer))

    def _verify(self, text: str, key: Any, algorithms: tuple[str, ...], issuer: str) -> dict[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=list(algorithms),
                issuer=issuer,
                audience=self._settings.audience or None,
                leeway=self._settings.leeway_s,
                options={
                    "require": ["exp", "iat", "sub", "iss"],
                    "verify_aud": bool(self._settings.audience),
                    "verify_iat": False,  # PyJWT would allow it as far ahead as the leeway; see below
                },
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"Invalid JWT: {_cause(error)}.") from error
        except (OverflowError, TypeError, ValueError) as error:  # what PyJWT does not expect in claims
            raise Unauthorized("Invalid JWT: it is malformed.") from error
        for name in ("exp", "nbf", "iat"):
            if name in claims and not _is_number(claims[name]):  # PyJWT reads texts as well
                raise Unauthorized(f"Invalid JWT: its claim {name} must be a number.")
        if claims["iat"] > time.time() + ISSUED_AHEAD_S:
            raise Unauthorized("Invalid JWT: it was issued in the future.")
        if not claims["sub"]:
            raise Unauthorized("Invalid JWT: its claim sub is empty.")
        return claims


def _is_number(value: Any) -> bool:
    """Tell whether it is a number of seconds, in a range that every clock has."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST_S < value < _MOST_S


def peek(text: str) -> tuple[str, str]:
    """`kid` and `iss` of a token that is not verified yet, to find the key that it must be verified with.

    Raises:
        Unauthorized: It is malformed or lacks one of them.
    """
    import jwt

    try:
        found = jwt.api_jwt.decode_complete(text, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise Unauthorized("Invalid JWT: it is malformed.") from error
    kid, issuer = found["header"].get("kid"), found["payload"].get("iss")
    if not isinstance(kid, str) or not kid:
        raise Unauthorized("Invalid JWT: its header names no key (kid).")
    if not isinstance(issuer, str):
        raise Unauthorized("Invalid JWT: it lacks the claim iss.")
    return kid, issuer


def _cause(error: Exception) -> str:
    import jwt

    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it lacks the claim {error.claim}"
    causes: tuple[tuple[type[Exception], str], ...] = (
        (jwt.ExpiredSignatureError, "it has expired"),
        (jwt.InvalidAudienceError, "its audience is another application"),
        (jwt.InvalidIssuerError, "it comes from another issuer"),
        (jwt.ImmatureSignatureError, "it is not valid yet"),
        (jwt.InvalidAlgorithmError, "it is signed with an algorithm that is not allowed here"),
        (jwt.InvalidSignatureError, "its signature is wrong"),
    )
    return next((cause for kind, cause in causes if isinstance(error, kind)), "it is malformed")


@asynccontextmanager
async def open_provider(settings: JwtSettings, clock: Clock) -> AsyncIterator[JwtAuthenticator]:
    """Check the settings and open the provider.

    Raises:
        MissingExtra: PyJWT or cryptography is not installed.
        ConfigurationError: A setting cannot work or is not safe.
    """
    try:
        import cryptography  # noqa: F401 - PyJWT needs it for signatures, and would say so late
        import jwt  # noqa: F401
    except ImportError as error:
        raise MissingExtra("The auth provider jwt", "jwt") from error
    import httpx

    check(settings)
    async with httpx.AsyncClient(timeout=_FETCH_LIMIT_S) as client:
        key_sets = {
            issuer: KeySet(
                issuer=issuer, jwks_url=settings.jwks_url, algorithms=settings.algorithms, client=client, clock=clock
            )
            for issuer in settings.issuer
        }
        yield JwtAuthenticator(key_sets, settings)


def _is_address(text: str) -> bool:
    from httpx import URL, InvalidURL

    try:
        url = URL(text)
    except InvalidURL:
        return False
    return url.scheme in ("https", "http") and bool(url.host) and not re.search(r"\s", text)


def check(settings: JwtSettings) -> None:
    """Refuse settings that cannot work or are not safe.

    Raises:
        ConfigurationError: With every problem found.
    """
    problems = []
    if not settings.issuer:
        problems.append("OAUTH2_ISSUER_URL names no issuer; set it to the issuer's address.")
    for address in (*settings.issuer, *([settings.jwks_url] if settings.jwks_url else [])):
        if not _is_address(address):
            problems.append(f"{address} is not a valid address: it must begin with https:// and a host name.")
        elif address.startswith("http://"):
            log(logger, logging.WARNING, "auth.issuer_without_tls", issuer=address)
    if settings.jwks_url and len(settings.issuer) > 1:
        problems.append(
            "OAUTH2_JWKS_URL works with a single issuer only; unset it, so that memhost reads each issuer's "
            "discovery document."
        )
    safe = [name for family in FAMILIES.values() for name in family]
    problems += [
        f"OAUTH2_ALGORITHMS allows {name}, which is unknown or unsafe with public keys; choose from {', '.join(safe)}."
        for name in settings.algorithms
        if name not in safe
    ]
    if not settings.algorithms:
        problems.append("OAUTH2_ALGORITHMS is empty; RS256 is usual.")
    if not settings.audience and not settings.any_audience:
        problems.append(
            "OAUTH2_AUDIENCE is not set, so memhost would accept tokens that the issuer made for other applications: "
            "set it to the issuer's name for this server, or set JWT_ANY_AUDIENCE=true to accept all tokens."
        )
    if problems:
        raise ConfigurationError(problems)
    if not settings.audience:
        log(logger, logging.WARNING, "auth.audience_not_checked", fix="set OAUTH2_AUDIENCE")
