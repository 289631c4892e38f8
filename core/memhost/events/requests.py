"""Requests in progress, as hooks in the request see and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from memhost.models import Scope, SessionKey, WorkingMemory


class SessionWrite(msgspec.Struct, kw_only=True):
    """The content that is about to be written to a session.

    Attributes:
        session: Which session; cannot be changed.
        content: What will be stored; hooks may change it.
    """

    session: SessionKey
    content: WorkingMemory


class SearchRequest(msgspec.Struct, kw_only=True):
    """The search that is about to run.

    Attributes:
        scope: What the search reaches; cannot be changed.
        text: The question, empty for a listing; hooks may change it.
        mode: `pipeline`, `semantic`, `keyword` or `hybrid`; cannot be changed.
        limit: Most hits; hooks may lower it, or raise it to 1,000 at most: `memhost_after_search` gets so many.
    """

    scope: Scope
    text: str
    mode: str
    limit: Annotated[int, msgspec.Meta(ge=1)]


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a call that hooks in the request receive.

    Attributes:
        scope: What the caller reaches.
        subject: Who calls; `plugin:<name>` for memories that a job of a plugin stores.
        request_id: Id of the request, as in the log; of the job where a job stores.
        now: The server's time.
        plugin_settings: Those of the plugin itself, the struct of its `SettingsSpec`; None if it has none.
    """

    scope: Scope
    subject: str
    request_id: str
    now: datetime
    plugin_settings: Any = None
