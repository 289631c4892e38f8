"""HTTP connections that do not wait for clients who never finish the head of a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientConfig(Config):
    """uvicorn's configuration with one more limit; it goes to the worker processes as it is.

    Attributes:
        header_timeout_s: How long the head of a request may take, in seconds; 0 waits for ever.
    """

    header_timeout_s: float = 0.0


class Patient(HttpToolsProtocol):
    """The protocol of uvicorn, closing connections whose request's head takes longer than the limit."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._done()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._done()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._done()
        limit = getattr(self.config, "header_timeout_s", 0.0)
        if limit:
            self._waiting = self.loop.call_later(limit, self.transport.close)

    def _done(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
