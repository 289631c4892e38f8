"""Operations on working memory: sessions of messages, and extraction from them."""

from __future__ import annotations

from memhost.operations.extraction import ExtractionPreview, ExtractSession, PreviewExtraction
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
            "The exact identity (namespace, user, session) is looked up first; if nothing is there, the parts "
            "not given match anything, and exactly one match is returned."
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
            "tell what the client knew: what others have stored or changed since then is kept, where the client sends "
            "it as it was. (The fraction of `last_accessed` in answers is the session's version.) A message under an "
            "unknown id is the stored one at its place if role and content are equal. With a language model, a session "
            "over `SUMMARIZATION_THRESHOLD` of the window has its older messages folded into `context`. The answer "
            'waits for that up to `SUMMARIZATION_WAIT_SECONDS`; otherwise it holds `summarization: "pending"`, and the '
            "messages as they are."
        ),
        errors=("invalid_request", "invalid_arguments", "conflict"),
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
            "The history need not be sent again. A session that is not there is created. Writes that happen at the "
            "same time all count. `if_version` refuses a lost update: versions are the fraction of `last_accessed`. "
            "A message with role, content and `created_at` of a stored one is that message, whatever its id. "
            "Data are merged key by key, which is not deep: an object takes the place of the one under its key. There "
            "null is a value; send all data with `merge_data` false to take keys away. A time to live starts anew."
        ),
        errors=("invalid_request", "invalid_arguments", "conflict"),
    ),
    Operation(
        name="delete_session",
        request=DeleteSession,
        response=Ack,
        handler=forward(SessionService, SessionService.delete),
        access="delete",
        tag=TAG,
        summary="Delete a session; memories made from it stay.",
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
            "Messages are extracted by themselves once a session has been quiet for a while; this does not wait for "
            "that, and tries again what was given up. The answer says what still waits after `wait_s` seconds."
        ),
        errors=("invalid_request", "not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="preview_extraction",
        request=PreviewExtraction,
        response=ExtractionPreview,
        handler=forward(ExtractionRequests, ExtractionRequests.preview),
        access="write",
        tag=_EXTRACTION,
        summary="Show what a strategy would make of a conversation, and what it costs; nothing is stored.",
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
