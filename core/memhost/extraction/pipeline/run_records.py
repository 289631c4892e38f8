"""Records of extraction runs: questions, answers and results, for a set time, so that people can see them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from memhost.extraction import mask_secrets
from memhost.jobs.outbox import session_name
from memhost.models import Document, Scope, SessionKey
from memhost.operations.extraction import ExtractionCall, ExtractionRun
from memhost.operations.long_term import ChainRun
from memhost.operations.responses import Join
from memhost.ports import Store
from memhost.storage.bound_documents import by_prefix
from memhost.usage.model_calls import Exchange

KIND = "extraction_run"

KEPT_RUNS = 50
"""Runs that a session keeps; a further one takes the place of the oldest."""

_ALL_LETTERS = 60_000
"""Characters of all questions and answers of a run."""

_MOST_SOUGHT = 100
"""Texts that are looked for in records."""

_SENTENCE_LETTERS = 500
_ITEMS = 200


class RunRecords:
    """The records in the store.

    Args:
        store: Where they are.
        keep_days: How long they are kept, days; 0 keeps none.
    """

    def __init__(self, store: Store, keep_days: float) -> None:
        self._store = store
        self.keep_days = keep_days

    def document(self, key: SessionKey, number: int, run: ExtractionRun, now: datetime) -> list[Document]:
        """The record of the session's run of that number, to commit; none if none are kept."""
        if self.keep_days <= 0:
            return []
        return [
            Document(
                kind=KIND,
                id=_name(key, number),
                tenant=key.tenant,
                namespace=key.namespace,
                user=key.user,
                body=msgspec.msgpack.encode(run),
                updated_at=now,
                expires_at=now + timedelta(days=self.keep_days),
            )
        ]

    async def read(self, key: SessionKey, now: datetime) -> list[ExtractionRun]:
        """The runs of a session, the newest first."""
        scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,))
        prefix = _prefix(key)
        found = (await by_prefix(self._store, scope, KIND, [prefix], now, KEPT_RUNS))[prefix]
        runs = [msgspec.msgpack.decode(document.body, type=ExtractionRun) for document in found]
        return sorted(runs, key=lambda run: run.at, reverse=True)

    async def made(self, key: SessionKey, memory_id: str, now: datetime) -> ChainRun | None:
        """The latest run of the session that stored the memory or merged others into it; None if none is kept."""
        run = next((run for run in await self.read(key, now) if memory_id in {*run.stored, *_joined_in(run)}), None)
        if run is None:
            return None
        model = next((call.model for call in run.calls if call.model), "")
        return ChainRun(at=run.at, model=model, turns=run.turns, cost_usd=run.cost_usd)


def names_of_session(key: SessionKey) -> list[tuple[str, str]]:
    """(kind, id) of all records that a session may have, to delete with it."""
    return [(KIND, _name(key, number)) for number in range(KEPT_RUNS)]


async def naming(
    store: Store, owner: Scope, ids: Collection[str], texts: Collection[str], now: datetime
) -> list[tuple[str, str]]:
    """(kind, id) of the owner's records that name one of these ids, or hold one of these texts.

    Of many texts it is not worth to look for each: then all of the owner's records count.
    """
    found = await store.list_documents(owner, KIND, now)
    if len(texts) > _MOST_SOUGHT:
        return [(KIND, document.id) for document in found]
    names = {name.encode("utf-8", "surrogatepass") for name in ids}
    said = {form.encode("utf-8", "surrogatepass") for text in texts if text for form in (text, _as_data(text))}
    return [
        (KIND, document.id)
        for document in found
        if any(text in document.body for text in said)
        or (any(name in document.body for name in names) and _names(document, ids))
    ]


def _names(document: Document, ids: Collection[str]) -> bool:
    run = msgspec.msgpack.decode(document.body, type=ExtractionRun)
    told = {*run.turns, *run.stored, *run.repeated, *run.superseded, *run.withdrawn, *_joined_in(run)}
    shown = [text for call in run.calls for text in (call.asked, call.answered)]
    return any(name in told or any(f'"{name}"' in text for text in shown) for name in ids)


def record_of(
    strategy: str,
    turns: Sequence[str],
    exchanges: Sequence[Exchange],
    began: datetime,
    *,
    stored: Sequence[str] = (),
    repeated: Sequence[str] = (),
    merged: Sequence[Join] = (),
    superseded: Sequence[str] = (),
    withdrawn: Sequence[str] = (),
    dropped: Sequence[str] = (),
    error: str | None = None,
) -> ExtractionRun:
    """The record of a run. Secrets are masked whatever the policy for memories is, and long texts are cut."""
    room = _ALL_LETTERS // max(1, 2 * len(exchanges))
    answers = [exchange.answer for exchange in exchanges if exchange.answer is not None]
    costs = [answer.cost_usd for answer in answers]
    return ExtractionRun(
        at=began,
        strategy=strategy,
        turns=list(turns)[:_ITEMS],
        calls=[_call(exchange, room) for exchange in exchanges],
        stored=list(stored)[:_ITEMS],
        repeated=list(repeated)[:_ITEMS],
        merged=[_joined(join) for join in list(merged)[:_ITEMS]],
        superseded=list(superseded)[:_ITEMS],
        withdrawn=list(withdrawn)[:_ITEMS],
        dropped=[_shown(sentence, _SENTENCE_LETTERS) for sentence in list(dropped)[:_ITEMS]],
        error=_shown(error, _SENTENCE_LETTERS) if error else None,
        input_tokens=sum(answer.input_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _call(exchange: Exchange, room: int) -> ExtractionCall:
    asked = "\n\n".join(f"{message.get('role')}: {_said(message.get('content'))}" for message in exchange.messages)
    call = ExtractionCall(
        purpose=exchange.purpose,
        asked=_shown(asked, room),
        error=_shown(exchange.error, _SENTENCE_LETTERS) if exchange.error else None,
    )
    answer = exchange.answer
    if answer is None:
        return call
    return msgspec.structs.replace(
        call,
        answered=_shown(answer.text, room),
        model=answer.model,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_usd=answer.cost_usd,
    )


def _said(content: Any) -> str:
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()


def _joined(join: Join) -> Join:
    return msgspec.structs.replace(join, texts=[_shown(text, _SENTENCE_LETTERS) for text in join.texts])


def _shown(text: str, room: int) -> str:
    """The text with its secrets masked; of a long one a fourth from the beginning, and the rest from the end."""
    masked, _ = mask_secrets(text)
    if len(masked) <= room:
        return masked
    head = room // 4
    return f"{masked[:head]}\n[… {len(masked) - room} characters left out …]\n{masked[head - room :]}"


def _as_data(text: str) -> str:
    """The text as prompts have it: inside of JSON."""
    return msgspec.json.encode(text).decode()[1:-1]


def _prefix(key: SessionKey) -> str:
    return hashlib.sha256(session_name(key).encode("utf-8", "surrogatepass")).hexdigest()[:32] + ":"


def _name(key: SessionKey, number: int) -> str:
    return f"{_prefix(key)}{number % KEPT_RUNS:02d}"


def _joined_in(run: ExtractionRun) -> set[str]:
    return {name for join in run.merged for name in (join.stays, *join.goes)}
