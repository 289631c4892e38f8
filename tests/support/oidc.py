"""A small OpenID Connect issuer on loopback, in a thread, with tokens as tests want them, and who trusts it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from memhost.errors import Unauthorized
from memhost.models import Caller
from memhost.ports import Credentials
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost_auth_jwt import JwtSettings, open_jwt
from memhost_auth_jwt.provider import JwtAuthenticator

AUDIENCE = "memhost"


@cache
def rsa_key(number: int) -> RSAPrivateKey:
    """The private key of that number; making one takes a while."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(number: int) -> bytes:
    """The public key of that number as everybody may see it."""
    return rsa_key(number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(number: int, kid: str, **more: Any) -> dict[str, Any]:
    """The public key of that number as an entry of a key set."""
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(number).public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig", "alg": "RS256", **more}


class Issuer:
    """The issuer while the context is open.

    Attributes:
        url: Its address, and the claim `iss` of its tokens.
        keys: What its key set holds.
        discovery: Whether it has a discovery document.
        down: It answers everything with status 500.
        asked: How often it was asked for its keys.
    """

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk(0, "first")]
        self.discovery = True
        self.down = False
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer._answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str) -> tuple[int, Mapping[str, Any]]:
        if self.down:
            return 500, {}
        if path == "/.well-known/openid-configuration" and self.discovery:
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == ("/keys" if self.discovery else "/.well-known/jwks.json"):
            self.asked += 1
            return 200, {"keys": self.keys}
        return 404, {}

    def claims(self, **more: Any) -> dict[str, Any]:
        """Claims of a good token; None takes one out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, number: int = 0, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token signed with the key of that number."""
        header = {"kid": "first", **(headers or {})}
        return jwt.encode(self.claims(**claims), rsa_key(number), algorithm="RS256", headers=header)


@asynccontextmanager
async def trusting(issuer: Issuer, folder: Path, clock: FakeClock, /, **more: Any) -> AsyncIterator[JwtAuthenticator]:
    """A provider that trusts the issuer, with more settings if need be."""
    settings = JwtSettings(**{"issuer": (issuer.url,), "audience": (AUDIENCE,), **more})
    async with open_jwt(settings, OpenContext(data_dir=folder, clock=clock)) as provider:
        yield provider


async def enter(provider: JwtAuthenticator, token: str) -> Caller:
    """Who the token says it is."""
    return await provider.authenticate(Credentials(scheme="bearer", token=token))


async def why_not(provider: JwtAuthenticator, token: str) -> str:
    """The sentence that refuses the token; it tells nothing of the issuer's address."""
    with pytest.raises(Unauthorized) as caught:
        await enter(provider, token)
    assert not caught.value.challenge
    assert "127.0.0.1" not in caught.value.message
    return caught.value.message
