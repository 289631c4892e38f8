"""Operations on working memory: sessions of messages, and extraction from them."""

from __future__ import annotations

from memhost.operations.extraction import (
    ExtractionPreview,
    ExtractSession,
    PreviewExtraction,
    SessionExtraction,
    SessionExtractionView,
)
from memhost.operations.responses import Ack, ExtractionState, SessionList, WorkingMemoryView
from memhost.operations.table import Operation, forward
from memhost.operations.working_memory import ChangeSession, DeleteSession, GetSession, ListSessions, PutSession
from memhost.sessions.extraction_on_request import ExtractionRequests
from memhost.sessions.patch import SessionChanges
from memhost.sessions.service import SessionService

TAG = "Working memory"
_EXTRACTION = "Extraction"


OPERATIONS = (
    Operation(
        name="list_sessions",
        request=ListSessions,
        response=SessionList,
        handler=forward(SessionService, SessionService.list_page),
        access="read",
        tag=TAG,
        summary="List session ids, most recently updated first.",
    ),
    Operation(
        name="get_session",
        request=GetSession,
        response=WorkingMemoryView,
        handler=forward(SessionService, SessionService.get),
        access="read",
        tag=TAG,
        summary="Read a session.",
        description=(
            "memhost looks for the exact key (namespace, user, session) first. If there is no such session, omitted "
            "parts match anything; the answer is a session only if exactly one matches."
        ),
        errors=("not_found",),
    ),
    Operation(
        name="put_session",
        request=PutSession,
        response=WorkingMemoryView,
        handler=forward(SessionService, SessionService.put),
        access="write",
        tag=TAG,
        summary="Store a session as a whole.",
        description=(
            "Replaces the stored session and answers with it. New and changed turns become searchable before the "
            "answer is sent. Identity comes from the body only. `last_accessed` or `updated_at`, sent back as read, "
            "say which state the client knew: changes that others made since then stay, unless the client changed "
            "the same part. (The fraction of `last_accessed` in answers is the session's version.) A message under "
            "an unknown id is the stored one at its place if role and content are equal. With a language model, a "
            "session over `SUMMARIZATION_THRESHOLD` of the window gets its older messages summarised into `context`. "
            "The answer waits for the summary up to `SUMMARIZATION_WAIT_SECONDS`; otherwise it holds `summarization: "
            '"pending"`, and the messages as they are.'
        ),
        errors=("invalid_request", "invalid_arguments", "conflict", "quota_exceeded"),
        repeatable=True,
        destructive=True,
    ),
    Operation(
        name="change_session",
        request=ChangeSession,
        response=WorkingMemoryView,
        handler=forward(SessionChanges, SessionChanges.change),
        access="write",
        tag=TAG,
        summary="Change parts of a session: append messages or memories, merge data, set the context.",
        description=(
            "There is no need to send the history again. A missing session is created. Concurrent changes all take "
            "effect. `if_version` refuses a lost update: versions are the fraction of `last_accessed`. A message "
            "with role, content and `created_at` of a stored one is that message, whatever its id. `data` is merged "
            "key by key, not deeply: an object replaces the object under its key. null is a value; to remove keys "
            "send all data with `merge_data` false. The time to live restarts."
        ),
        errors=("invalid_request", "invalid_arguments", "conflict", "quota_exceeded"),
    ),
    Operation(
        name="delete_session",
        request=DeleteSession,
        response=Ack,
        handler=forward(SessionService, SessionService.delete),
        access="delete",
        tag=TAG,
        summary="Delete a session; memories made from it stay, unless `with_memories` is true.",
        errors=("ambiguous_session",),
        repeatable=True,
    ),
    Operation(
        name="extract_session",
        request=ExtractSession,
        response=ExtractionState,
        handler=forward(ExtractionRequests, ExtractionRequests.extract),
        access="write",
        tag=_EXTRACTION,
        summary="Extract memories from the waiting messages of a session now.",
        description=(
            "memhost extracts messages by itself once a session has been quiet for a while. This operation starts "
            "extraction now, and retries messages that it had given up on. The answer says how many messages still "
            "wait after `wait_s` seconds."
        ),
        errors=("invalid_request", "not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="session_extraction",
        request=SessionExtraction,
        response=SessionExtractionView,
        handler=forward(ExtractionRequests, ExtractionRequests.show),
        access="read",
        tag=_EXTRACTION,
        summary="Show the extraction of a session: its state, and what each run asked, answered, stored and dropped.",
        description=(
            "Runs are kept for `EXTRACTION_RUNS_KEEP_DAYS`, at most 50 of a session. Secrets in them are masked, long "
            "texts are cut. They go with their session and its user, and with a memory that they name when that is "
            "deleted."
        ),
        errors=("not_found",),
    ),
    Operation(
        name="preview_extraction",
        request=PreviewExtraction,
        response=ExtractionPreview,
        handler=forward(ExtractionRequests, ExtractionRequests.preview),
        access="write",
        tag=_EXTRACTION,
        summary="Show the memories that a strategy would extract from a conversation, and the cost; store nothing.",
        description="Calls the language model as a real extraction does, and counts towards the budgets.",
        errors=(
            "invalid_request",
            "invalid_arguments",
            "model_unavailable",
            "model_refused",
            "budget_exceeded",
            "answer_unusable",
        ),
    ),
)
