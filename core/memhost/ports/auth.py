"""The port of an authentication provider: credentials in, caller out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from memhost.models import Caller


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials of a request. `scheme` is lower case (`bearer`, `basic`, `api-key`) or empty for none.

    `token` is the secret: the bearer token, the API key, or the password of Basic. `peer` is the client's
    address, or empty if it is not known.
    """

    scheme: str = ""
    token: str = ""
    username: str = ""
    peer: str = ""


class Authenticator(Protocol):
    """Decides who calls. Anything else that it raises than what is named below denies the call as well.

    Attributes:
        open: True if requests without credentials are let in; the host then binds to loopback only.

    A provider that takes tokens of OAuth issuers names their addresses in a further attribute `issuers`, so that
    interfaces can tell clients where to get a token.
    """

    open: bool

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials.

        Raises:
            Unauthorized: No or invalid credentials; `challenge` is set where none usable came.
            Unavailable: What knows the credentials does not answer.
            TooManyRequests: Over a limit of the provider's own; the host limits failed attempts itself.
        """
        ...


@runtime_checkable
class Recognises(Authenticator, Protocol):
    """A provider whose credentials have a form of their own; beside others it is asked about those alone."""

    def recognises(self, credentials: Credentials) -> bool:
        """Tell whether the credentials have the provider's form, valid or not."""
        ...
