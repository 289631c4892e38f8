"""The tokens in the store. They are documents of the default tenant, so that one look-up by id finds any of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from memhost.errors import ConfigurationError, DocumentGone, InvalidRequest, NotFound
from memhost.models import DEFAULT_TENANT, Document, Scope, Trust, WriteBatch
from memhost.ports import Clock, Store
from memhost_auth_token.keys import Hasher, new_secret, new_token

KIND = "plugin:auth-token"
_USES = "plugin:auth-token:use"
_KEYS = "plugin:auth-token:key"
_KEY_ID = "current"
_HOME = Scope(tenant=DEFAULT_TENANT)
_KEEP_EXPIRED = timedelta(days=30)
"""So long an expired token is known as such; after that as none."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret.

    `namespaces` and `users` bound it as `memhost.models.Scope` says, `channel` as `memhost.models.Caller` does; None
    does not.
    """

    id: str
    digest: bytes
    role: str
    created_at: datetime
    tenant: str = DEFAULT_TENANT
    namespaces: tuple[str, ...] | None = None
    users: tuple[str, ...] | None = None
    description: str = ""
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    channel: Trust | None = None

    def expired(self, now: datetime) -> bool:
        """Tell whether the token has expired."""
        return self.expires_at is not None and self.expires_at <= now


_decoder = msgspec.msgpack.Decoder(Token)


class TokenStore:
    """Creates, finds and removes tokens."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def check_key(self, hasher: Hasher) -> bool:
        """Make sure that the tokens in the store were hashed with this key; return whether there are any.

        Raises:
            ConfigurationError: They were hashed with another one.
        """
        now = self._clock.now()
        known = await self._store.get_document(_HOME, _KEYS, _KEY_ID, now)
        tokens = await self._store.list_documents(_HOME, KIND, now)
        if known is not None and known.body == hasher.fingerprint():
            return bool(tokens)
        if known is not None and tokens:
            raise ConfigurationError(
                f"The {len(tokens)} tokens in the store were made with another key than the one in {hasher.source}: "
                "set AUTH_TOKEN_KEY to the original key (or restore token.key), or remove the tokens with: memhost "
                "token revoke --all"
            )
        mark = Document(kind=_KEYS, id=_KEY_ID, tenant=DEFAULT_TENANT, body=hasher.fingerprint(), updated_at=now)
        await self._store.commit(_HOME, WriteBatch(put_documents=[mark]))
        return bool(tokens)

    async def find(self, token_id: str) -> Token | None:
        """The token of that id; an expired one for some time as well."""
        document = await self._store.get_document(_HOME, KIND, token_id, self._clock.now())
        return _decoder.decode(document.body) if document is not None else None

    async def create(
        self,
        hasher: Hasher,
        *,
        role: str,
        tenant: str = DEFAULT_TENANT,
        namespaces: tuple[str, ...] | None = None,
        users: tuple[str, ...] | None = None,
        description: str = "",
        expires_at: datetime | None = None,
        channel: Trust | None = None,
    ) -> tuple[str, Token]:
        """Make a token; returned with its full text, which is not kept anywhere.

        Raises:
            InvalidRequest: The tenant is empty, or a bound has but empty names, as where a variable of a script was
                not set.
        """
        if any(bound is not None and not "".join(bound).strip() for bound in ((tenant,), namespaces, users)):
            raise InvalidRequest("Tenant, namespaces and users of a token must not be empty.")
        text, token_id = new_token()
        token = Token(
            id=token_id,
            digest=hasher.digest(text),
            role=role,
            created_at=self._clock.now(),
            tenant=tenant,
            namespaces=namespaces,
            users=users,
            description=description,
            expires_at=expires_at,
            channel=channel,
        )
        await self._store.commit(_HOME, WriteBatch(put_documents=[self._document(token)]))
        return text, token

    async def rotate(self, hasher: Hasher, token_id: str, expires_at: datetime | None) -> tuple[str, Token]:
        """Give a token a new secret; the old one is valid no longer.

        Args:
            hasher: Hashes the new secret.
            token_id: Which token.
            expires_at: When it expires from now on; None leaves that as it is.

        Raises:
            NotFound: There is no such token.
        """
        found = await self.find(token_id)
        if found is None:
            raise NotFound(f"There is no token {token_id}; memhost token list shows them.")
        text = new_secret(token_id)
        token = msgspec.structs.replace(
            found,
            digest=hasher.digest(text),
            rotated_at=self._clock.now(),
            expires_at=found.expires_at if expires_at is None else expires_at,
        )
        batch = WriteBatch(put_documents=[self._document(token)], require_documents=[(KIND, token_id)])
        await self._store.commit(_HOME, batch)
        return text, token

    async def revoke(self, token_ids: list[str]) -> None:
        """Remove tokens at once, all or none.

        Raises:
            NotFound: One of them does not exist.
        """
        for token_id in token_ids:
            if await self.find(token_id) is None:
                raise NotFound(f"There is no token {token_id}; memhost token list shows them.")
        gone = [(kind, token_id) for token_id in token_ids for kind in (KIND, _USES)]
        await self._store.commit(_HOME, WriteBatch(delete_documents=gone))

    async def list_all(self) -> list[tuple[Token, datetime | None]]:
        """All tokens with their last recorded use, oldest first."""
        now = self._clock.now()
        uses = {document.id: document.updated_at for document in await self._store.list_documents(_HOME, _USES, now)}
        documents = await self._store.list_documents(_HOME, KIND, now)
        tokens = [_decoder.decode(document.body) for document in documents]
        return [(token, uses.get(token.id)) for token in sorted(tokens, key=lambda token: token.created_at)]

    async def note_use(self, token: Token, at: datetime) -> None:
        """Record when a token was used, unless it was revoked in the meantime."""
        use = Document(
            kind=_USES, id=token.id, tenant=DEFAULT_TENANT, body=b"", updated_at=at, expires_at=_kept_until(token)
        )
        try:
            await self._store.commit(_HOME, WriteBatch(put_documents=[use], require_documents=[(KIND, token.id)]))
        except DocumentGone:
            return

    def _document(self, token: Token) -> Document:
        return Document(
            kind=KIND,
            id=token.id,
            tenant=DEFAULT_TENANT,
            body=msgspec.msgpack.encode(token),
            updated_at=self._clock.now(),
            expires_at=_kept_until(token),
        )


def _kept_until(token: Token) -> datetime | None:
    return token.expires_at + _KEEP_EXPIRED if token.expires_at is not None else None
