"""For authors of stores: what every store otherwise repeats.

- `RowStore` is most of the port over a small one: transactions on rows (`Rows`; `SqlRows` has the half of it that is
  the same in all SQL databases). What is left to a store is `info`, `list_memories` and `candidates`.
- `Touched` and `Outbox` apply a batch, and what happens to jobs, to the few things that they touch.
- `rules` are the checks of a batch one by one, for stores that apply batches in their engine's own language.
- `matching`: conditions, the values and numbers that they find a record by, and texts, in few forms.
- `held` and `legs`: memories that a store keeps in the process as columns, and what a search finds in them.
- `values`: times as microseconds, digests as keys, memories as bytes.
"""

from memhost.storekit import rules
from memhost.storekit.matching import (
    K1,
    B,
    Clause,
    Phrase,
    agreement,
    check_field,
    clauses,
    numbers_of,
    occurrences,
    ranges_of,
    rarity,
    required_phrases,
    scored_phrases,
    values_of,
)
from memhost.storekit.rows import DOCUMENT, SESSION, Row, RowOrder, RowQuery, Rows, document_of, session_of
from memhost.storekit.sql import SqlRows
from memhost.storekit.store import RowStore
from memhost.storekit.touched import Outbox, Touched
from memhost.storekit.values import (
    EPOCH,
    Owner,
    copy_memory,
    copy_struct,
    decode_memory,
    digest,
    document_change,
    encode,
    encode_memory,
    from_micros,
    holds,
    is_alive,
    keepable,
    lasting,
    only_marks_differ,
    owner_of,
    session_change,
    state_name,
    to_micros,
    to_micros_or_none,
)

__all__ = [
    "DOCUMENT",
    "EPOCH",
    "K1",
    "SESSION",
    "B",
    "Clause",
    "Outbox",
    "Owner",
    "Phrase",
    "Row",
    "RowOrder",
    "RowQuery",
    "RowStore",
    "Rows",
    "SqlRows",
    "Touched",
    "agreement",
    "check_field",
    "clauses",
    "copy_memory",
    "copy_struct",
    "decode_memory",
    "digest",
    "document_change",
    "document_of",
    "encode",
    "encode_memory",
    "from_micros",
    "holds",
    "is_alive",
    "keepable",
    "lasting",
    "numbers_of",
    "occurrences",
    "only_marks_differ",
    "owner_of",
    "ranges_of",
    "rarity",
    "required_phrases",
    "rules",
    "scored_phrases",
    "session_change",
    "session_of",
    "state_name",
    "to_micros",
    "to_micros_or_none",
    "values_of",
]
