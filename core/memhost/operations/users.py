"""Operations on users as a whole: what is known of one, and removing every trace of one."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memhost.models.limits import Name

_Named = Annotated[Name, Meta(min_length=1)]


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
    entry: Annotated[
        int | None,
        Meta(description="Number of the entry of the audit chain that records it; null where the store has no chain."),
    ] = None
    link: Annotated[str | None, Meta(description="Link of that entry, in hex: it covers all entries before it.")] = None
    history: Annotated[
        int, Meta(description="Entries of the chain whose content was removed, with the former states that they kept.")
    ] = 0
    key: Annotated[str | None, Meta(description="Id of the server's key that signed it; null if it has none.")] = None
    signature: Annotated[
        str | None,
        Meta(
            description="HMAC-SHA-256, in hex, of the JSON object of the fields but `signature` and `sha256`, keys "
            "sorted, without blanks: `memhost user certificate check` checks it. Null if there was nothing to erase."
        ),
    ] = None
    sha256: Annotated[
        str, Meta(description="Hex digest of the JSON object of the other fields, keys sorted, without blanks.")
    ]


class ExportUser(msgspec.Struct, kw_only=True):
    """Whose data to export, and from where on."""

    user_id: Annotated[_Named, Meta(description="The user.", examples=["ana"])]
    namespace: Annotated[
        _Named | None, Meta(description="Only data in this namespace; absent: in all.", examples=["travel"])
    ] = None
    after: Annotated[str, Meta(description="`next` of the page before; empty for the first.", examples=[""])] = ""
    limit: Annotated[int, Meta(ge=1, le=500, description="Most items of a page.", examples=[100])] = 100


class ExportedItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is stored about a user."""

    kind: Annotated[
        str,
        Meta(
            description="`memory`, `version` (a change of one, with the state before it), `session`, `waiting_turn`, "
            "`trash`, `usage`, `plugin_document` and other documents, `view`, `view_result`, `task`, `job`, `profile`, "
            "`rule`."
        ),
    ]
    id: Annotated[str, Meta(description="Id of it; of a version, of the memory.")]
    content: Annotated[Any, Meta(description="All that is stored of it, but vectors and words for the indexes.")]


class UserExportPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of everything about a user."""

    items: Annotated[list[ExportedItem], Meta(description="The items; a page may have fewer than asked for.")]
    next: Annotated[str | None, Meta(description="`after` of the next page; null: this is the last.")]


class GetProfile(msgspec.Struct, kw_only=True):
    """Whose profile, and which part of it."""

    user_id: Annotated[_Named, Meta(description="The user.", examples=["ana"])]
    namespace: Annotated[
        str | None,
        Meta(
            description="Only what was said in this namespace; absent or empty: in all that the caller reaches.",
            examples=["travel"],
        ),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Most facets to return.", examples=[50])] = 50
    offset: Annotated[int, Meta(ge=0, description="Facets to skip.", examples=[0])] = 0


class ProfileStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that holds."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    text: Annotated[str, Meta(description="What it says.")]
    kind: Annotated[str | None, Meta(description="`preference`, or null for a fact.")]
    said_at: Annotated[datetime, Meta(description="When it was said.")]
    since: Annotated[datetime | None, Meta(description="Since when it holds, if that is known.")]
    evidence: Annotated[int, Meta(description="Turns that say it, repetitions included; 0 if none is known.")]


class PastStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that held, and holds no longer."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    text: Annotated[str, Meta(description="What it says.")]
    said_at: Annotated[datetime, Meta(description="When it was said.")]
    until: Annotated[datetime, Meta(description="Until when it held.")]
    superseded_by: Annotated[str | None, Meta(description="Id of the memory that replaced it, if one did.")]


class ProfileFacet(msgspec.Struct, frozen=True, kw_only=True):
    """A matter of which something is known: what holds of it now, and what held before."""

    subject: Annotated[str, Meta(description="What it is about.")]
    namespace: Annotated[str | None, Meta(description="Namespace in which it was said, if any.")]
    statements: Annotated[
        list[ProfileStatement],
        Meta(description="What holds, the newest first. More than one where nobody said that one replaces the other."),
    ]
    evidence: Annotated[int, Meta(description="Turns that say what holds, each once.")]
    first_seen: Annotated[datetime, Meta(description="When the matter was first spoken of.")]
    last_seen: Annotated[datetime, Meta(description="When what holds was last said.")]
    history: Annotated[list[PastStatement], Meta(description="What held before, the latest first; at most 20.")]


class StandingRule(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction that the user gave, and that holds until another one ends it."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    text: Annotated[str, Meta(description="What it says.")]
    scope: Annotated[
        str | None,
        Meta(description="The project or subject that it is for; `session`: only its session; null: everything."),
    ]
    namespace: Annotated[str | None, Meta(description="Namespace in which it was said, if any.")]
    session_id: Annotated[str | None, Meta(description="Session in which it was said.")]
    said_at: Annotated[datetime, Meta(description="When it was said.")]
    evidence: Annotated[int, Meta(description="Turns that say it; 0 if none is known.")]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The facets of a user and the standing rules, whatever is asked."""

    user_id: Annotated[str, Meta(description="The user.")]
    facets: Annotated[list[ProfileFacet], Meta(description="The facets, the one that was spoken of last first.")]
    total: Annotated[int, Meta(description="How many facets there are.")]
    rules: Annotated[
        list[StandingRule], Meta(description="Standing rules: those for everything, then those of the newest scope.")
    ]
    model: Annotated[
        bool, Meta(description="Whether a language model is configured: it finds the facets and rules in what is said.")
    ] = True
