"""Operations on users as a whole: removing every trace of one."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_Named = Annotated[str, Meta(min_length=1)]


class DeleteUser(msgspec.Struct, kw_only=True):
    """Whose traces to remove. An empty name is refused: it would mean everybody."""

    user_id: Annotated[_Named, Meta(description="The user.", examples=["ana"])]
    namespace: Annotated[
        _Named | None, Meta(description="Only traces in this namespace; absent: in all.", examples=["travel"])
    ] = None


class ErasureReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a user that was removed."""

    id: Annotated[str, Meta(description="Id of this receipt.")]
    user_id: Annotated[str, Meta(description="The user.")]
    namespace: Annotated[
        str | None, Meta(description="The only namespace that was looked at; null for all that the caller reaches.")
    ]
    erased_at: Annotated[datetime, Meta(description="When it was done.")]
    counts: Annotated[
        dict[str, int],
        Meta(
            description="How many things of each sort were removed: `memories`, `sessions`, `trash`, `waiting_turns`, "
            "`answers`, `extraction_logs`, `views`, `view_results`, `tasks`, `judgements`, `plugin_documents`, "
            "`other_documents`, `jobs`; `usage_sheets` lost the user's name and kept their numbers. Sorts of which "
            "there was nothing are left out."
        ),
    ]
    files: Annotated[
        Literal["clean", "pending"] | None,
        Meta(
            description="What became of the rests that deletions leave in the store's files: `clean`, they are gone; "
            "`pending`, they are being removed; null, nothing was removed, or the store leaves none."
        ),
    ]
    sha256: Annotated[
        str, Meta(description="Hex digest of the JSON object of the other fields, keys sorted, without blanks.")
    ]
