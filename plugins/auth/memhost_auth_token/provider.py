"""Checking tokens."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from memhost.errors import ConfigurationError, MemhostError, Unauthorized
from memhost.logs import log
from memhost.models import Caller, Scope, Trust
from memhost.ports import Clock, Credentials
from memhost.specs import OpenContext
from memhost_auth_token.keys import SHORTEST, Hasher, id_of, load_hasher
from memhost_auth_token.token_store import Token, TokenStore

if TYPE_CHECKING:
    from memhost_auth_token import TokenSettings

logger = logging.getLogger(__name__)

_UNKNOWN = "Unknown token; it may have been revoked or mistyped."
_MAX_CACHED = 50_000


class _Known(msgspec.Struct):
    """A token as it was read, when that was, and whom it makes of the caller."""

    token: Token
    caller: Caller
    read_at: datetime


class TokenAuthenticator:
    """Takes tokens of the store and of the settings. What was read of a token counts for `cache_s` seconds."""

    open = False

    def __init__(self, *, book: TokenStore, hasher: Hasher, settings: TokenSettings, clock: Clock) -> None:
        self._book = book
        self._hasher = hasher
        self._clock = clock
        self._cache_for = timedelta(seconds=settings.cache_s)
        self._note_after = timedelta(seconds=settings.last_use_every_s)
        self._known: dict[str, _Known] = {}
        self._noted: dict[str, datetime] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._own = {
            hasher.digest(token): _own_caller(number, settings.tokens_channel)
            for number, token in enumerate(own_tokens(settings), 1)
        }

    async def authenticate(self, credentials: Credentials) -> Caller:
        """Return the caller that the token identifies.

        Raises:
            Unauthorized: There is no token, or it is unknown or expired.
            StoreUnavailable: The store cannot tell.
        """
        text = credentials.token
        if not text:
            raise Unauthorized(
                "Send a token: Authorization: Bearer <token>, X-API-Key, or as the password of Basic.", challenge=True
            )
        digest = self._hasher.digest(text)
        token_id = id_of(text)
        if token_id is None:
            return self._own_caller(digest)
        known = await self._look_up(token_id)
        if known is None:
            return self._own_caller(digest)
        if not hmac.compare_digest(known.token.digest, digest):
            raise Unauthorized(_UNKNOWN)
        now = self._clock.now()
        if known.token.expired(now):
            raise Unauthorized("This token has expired; ask for a new one.")
        self._note(known.token, now)
        return known.caller

    async def aclose(self) -> None:
        """Wait for what is being recorded."""
        await asyncio.gather(*self._notes)

    def _own_caller(self, digest: bytes) -> Caller:
        # A dictionary is safe here: who does not know the key cannot choose digests.
        caller = self._own.get(digest)
        if caller is None:
            raise Unauthorized(_UNKNOWN)
        return caller

    async def _look_up(self, token_id: str) -> _Known | None:
        known, now = self._known.get(token_id), self._clock.now()
        if known is not None and timedelta() <= now - known.read_at < self._cache_for:
            return known
        token = await self._book.find(token_id)
        if token is None:
            self._known.pop(token_id, None)
            return None
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        known = self._known[token_id] = _Known(token, caller_of(token), now)
        return known

    def _note(self, token: Token, now: datetime) -> None:
        last = self._noted.get(token.id)
        if last is not None and timedelta() <= now - last < self._note_after:
            return
        if len(self._noted) >= _MAX_CACHED:
            self._noted.clear()
        self._noted[token.id] = now
        task = asyncio.create_task(self._record(token, now))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _record(self, token: Token, at: datetime) -> None:
        try:
            await self._book.note_use(token, at)
        except MemhostError as error:
            log(logger, logging.WARNING, "auth.use_not_recorded", id=token.id, error=error.message)


@asynccontextmanager
async def open_provider(settings: TokenSettings, context: OpenContext) -> AsyncIterator[TokenAuthenticator]:
    """Check key and tokens, and open the provider.

    Raises:
        ConfigurationError: Their configuration is wrong, or no caller could authenticate.
    """
    if context.store is None:
        raise ConfigurationError("The auth provider token needs a store to be opened with.")
    book = TokenStore(context.store, context.clock)
    hasher = load_hasher(settings.key, context.data_dir)
    any_stored = await book.check_key(hasher)
    provider = TokenAuthenticator(book=book, hasher=hasher, settings=settings, clock=context.clock)
    if not any_stored and not own_tokens(settings):
        if not (await context.store.info()).durable:
            raise ConfigurationError(
                "No caller could authenticate: this store loses its tokens when its process ends; set AUTH_TOKENS, "
                "or use another STORE."
            )
        log(logger, logging.WARNING, "auth.no_tokens", fix="memhost token create")
    try:
        yield provider
    finally:
        await provider.aclose()


def own_tokens(settings: TokenSettings) -> list[str]:
    """The tokens of the settings, separated by commas or white space.

    Raises:
        ConfigurationError: One is too short, or cannot be sent in a header.
    """
    tokens = [token for item in settings.tokens for token in item.split()]
    for number, token in enumerate(tokens, 1):
        if len(token) < SHORTEST:
            raise ConfigurationError(
                f"Token {number} of AUTH_TOKENS has {len(token)} characters and needs at least {SHORTEST}: "
                "take the output of openssl rand -hex 32."
            )
        if not token.isascii() or not token.isprintable():
            raise ConfigurationError(
                f"Token {number} of AUTH_TOKENS has characters that clients cannot send; use letters and digits."
            )
    return tokens


def caller_of(token: Token) -> Caller:
    """Whom a token makes of the caller."""
    return Caller(
        subject=f"token {token.id}",
        bounds=Scope(tenant=token.tenant, namespaces=token.namespaces, users=token.users),
        roles=frozenset({token.role}),
        credential=token.id,
        channel=token.channel,
    )


def _own_caller(number: int, channel: Trust | None) -> Caller:
    return Caller(subject=f"AUTH_TOKENS {number}", roles=frozenset({"admin"}), channel=channel)
