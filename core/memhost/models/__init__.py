"""Domain structs: scopes, messages, memories, sessions, queries, jobs."""

from typing import TYPE_CHECKING

from memhost._moved import renamed
from memhost.models.actor import NOBODY, Actor, acted_by, acting
from memhost.models.filters import Condition, Op, matches
from memhost.models.memory import (
    MAX_ACCESSES,
    SENT_FIELDS,
    TURN_STRATEGY,
    EventPrecision,
    EvidenceTurn,
    MemoryHit,
    MemoryRecord,
    MemoryType,
    Message,
    NewerFact,
    OlderFact,
    Repeat,
    StrategyConfig,
    WorkingMemory,
    new_id,
)
from memhost.models.roles import EVERY_ROLE, RIGHTS, ROLES, Right, Role
from memhost.models.scope import DEFAULT_TENANT, Caller, Scope, SessionKey
from memhost.models.stored import (
    AccessMark,
    CandidateHit,
    CandidateQuery,
    Candidates,
    Document,
    FieldChange,
    Job,
    JobState,
    StoredMemory,
    StoredSession,
    StoreInfo,
    TextMatch,
    TurnMark,
    Vector,
    WriteBatch,
    WriteResult,
)
from memhost.models.trust import TRUSTS, Trust

__all__ = [
    "DEFAULT_TENANT",
    "EVERY_ROLE",
    "MAX_ACCESSES",
    "NOBODY",
    "RIGHTS",
    "ROLES",
    "SENT_FIELDS",
    "TRUSTS",
    "TURN_STRATEGY",
    "AccessMark",
    "Actor",
    "Caller",
    "CandidateHit",
    "CandidateQuery",
    "Candidates",
    "Condition",
    "Document",
    "EventPrecision",
    "EvidenceTurn",
    "FieldChange",
    "Job",
    "JobState",
    "MemoryHit",
    "MemoryRecord",
    "MemoryType",
    "Message",
    "NewerFact",
    "OlderFact",
    "Op",
    "Repeat",
    "Right",
    "Role",
    "Scope",
    "SessionKey",
    "StoreInfo",
    "StoredMemory",
    "StoredSession",
    "StrategyConfig",
    "TextMatch",
    "Trust",
    "TurnMark",
    "Vector",
    "WorkingMemory",
    "WriteBatch",
    "WriteResult",
    "acted_by",
    "acting",
    "matches",
    "new_id",
]

if not TYPE_CHECKING:  # for a type checker there are the new names alone
    __getattr__ = renamed(__name__, {"MOST_ACCESSES": "MAX_ACCESSES"})
