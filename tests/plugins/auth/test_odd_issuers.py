"""Issuers of the auth provider `jwt` whose answers could keep a server busy or waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from tests.support.oidc import AUDIENCE, jwk, rsa_key

from memhost.errors import Unavailable
from memhost.ports import Credentials
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost_auth_jwt import JwtSettings, open_jwt
from memhost_auth_jwt.keysets import KeySet, parse_keys


@pytest.mark.parametrize("sent", ["slow", "deep", "large", "compressed"])
async def test_an_odd_issuer_is_unavailable_soon(sent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that drips, nests without end, or sends more than anybody needs, keeps nobody waiting.

    What it sends would do otherwise: it is a discovery document and a key set at once.
    """
    monkeypatch.setattr("memhost_auth_jwt.keysets._FETCH_ALL_S", 0.3)
    gone = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        encoding = b"Content-Encoding: gzip\r\n" if sent == "compressed" else b""
        writer.write(b"HTTP/1.1 200 OK\r\n" + encoding + b"Connection: close\r\n\r\n")
        with suppress(ConnectionError):
            while sent == "slow":
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
            good = json.dumps({"issuer": url, "jwks_uri": f"{url}/keys", "keys": [jwk(0, "first")]}).encode()
            whole = {"deep": b"[" * 100_000, "large": good + b" " * 2_000_000, "compressed": gzip.compress(good)}
            writer.write(whole[sent])
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.release()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as odd:
        url = f"http://127.0.0.1:{odd.sockets[0].getsockname()[1]}"
        settings = JwtSettings(issuer=(url,), audience=(AUDIENCE,))
        async with open_jwt(settings, OpenContext(data_dir=tmp_path, clock=FakeClock())) as provider:
            claims = {"iss": url, "aud": AUDIENCE, "sub": "ann", "iat": int(time.time()), "exp": int(time.time()) + 60}
            token = jwt.encode(claims, rsa_key(0), algorithm="RS256", headers={"kid": "first"})
            async with asyncio.timeout(10):
                with pytest.raises(Unavailable):
                    await provider.authenticate(Credentials(scheme="bearer", token=token))
        await gone.acquire()


async def test_keys_of_a_safe_issuer_are_not_fetched_without_tls() -> None:
    asked: list[str] = []

    async def document() -> AsyncIterator[bytes]:
        yield b'{"issuer": "https://issuer", "jwks_uri": "http://issuer/keys"}'

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, content=document())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(Unavailable):
            await KeySet(
                issuer="https://issuer", jwks_url=None, algorithms=("RS256",), client=client, clock=FakeClock()
            ).find("first")
    assert asked == ["https://issuer/.well-known/openid-configuration"]


@pytest.mark.parametrize("error", [TypeError, ValueError, jwt.InvalidKeyError])
def test_whatever_a_library_makes_of_odd_keys_the_others_serve(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """PyJWT's versions differ in that."""
    read = jwt.PyJWK

    def reading(item: dict[str, Any], algorithm: str) -> jwt.PyJWK:
        if item["kid"] == "odd":
            raise error("odd")
        return read(item, algorithm)

    monkeypatch.setattr(jwt, "PyJWK", reading)
    assert list(parse_keys([jwk(0, "odd"), jwk(0, "good")], ("RS256",))) == ["good"]
