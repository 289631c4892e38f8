"""Operations on users as a whole: removing every trace of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class DeleteUser(msgspec.Struct, kw_only=True):
    """Whose traces to remove; with `namespace` only those in it. An empty one is refused: it would mean all of them."""

    user_id: Annotated[str, Meta(min_length=1)]
    namespace: Annotated[str, Meta(min_length=1)] | None = None


class ErasureReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed of a user.

    Attributes:
        id: Id of this receipt.
        user_id: The user.
        namespace: The only namespace that was looked at; null for all that the caller reaches.
        erased_at: When it was done.
        counts: How many things of each sort went: `memories`, `sessions`, `trash`, `waiting_turns`, `answers`,
            `extraction_logs`, `views`, `view_results`, `tasks`, `judgements`, `plugin_documents`, `other_documents`,
            `jobs`; `usage_sheets` lost the user's name and kept their numbers. Sorts of which there was nothing are
            left out.
        files: What became of the rests that deletions leave in the store's files: `clean`, they are gone; `pending`,
            they are being removed; null, nothing was removed, or the store leaves none.
        sha256: Hex digest of the JSON object of the other fields, keys sorted, without blanks.
    """

    id: str
    user_id: str
    namespace: str | None
    erased_at: datetime
    counts: dict[str, int]
    files: Literal["clean", "pending"] | None
    sha256: str
