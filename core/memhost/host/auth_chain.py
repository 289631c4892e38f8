"""Several authentication providers at once: the form of the credential decides which of them is asked."""

from __future__ import annotations

from collections.abc import Sequence

from memhost.errors import ConfigurationError
from memhost.models import Caller
from memhost.ports import Authenticator, Credentials, Recognises


class AuthChain:
    """Asks the one provider that a credential is for, so that no other sees it or answers in its place.

    That is the first that recognises its form, else the first that recognises none and so takes any. A provider that
    refuses is not followed by another.
    """

    open = False

    def __init__(self, providers: Sequence[Authenticator]) -> None:
        """Combine providers.

        Raises:
            ConfigurationError: One lets everybody in, or two would take any credential.
        """
        self._forms = [provider for provider in providers if isinstance(provider, Recognises)]
        self._others = [provider for provider in providers if not isinstance(provider, Recognises)]
        self.issuers = tuple(name for provider in providers for name in getattr(provider, "issuers", ()))
        if any(provider.open for provider in providers):
            raise ConfigurationError(
                'AUTH contains "none" beside other providers, which would admit everyone; remove "none" or the others.'
            )
        if len(self._others) > 1:
            raise ConfigurationError(
                "AUTH names several providers that accept credentials of any form; keep at most one of them."
            )

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller behind the credentials, as the provider says that they are for.

        Raises:
            Unauthorized, Unavailable, TooManyRequests: As that provider raises them.
        """
        for provider in self._forms:
            if provider.recognises(credentials):
                return await provider.authenticate(credentials)
        return await (self._others or self._forms)[0].authenticate(credentials)
