"""The redacted texts, and that no personal data reaches the store."""

import pytest
from redaction import RedactionSettings
from redaction.finding import redact

from memhost.testing.hosts import call


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ann.b+x@mail.example.org, please.", "Write to [email], please."),
        ("Call +49 30 901820 or (650) 253-0000!", "Call [phone] or [phone]!"),
        ("Pay to DE89 3704 0044 0532 0130 00 today.", "Pay to [iban] today."),
        ("Card 4111 1111 1111 1111, please", "Card [card], please"),
        ("In 2026 order 4711 had 12 boats.", "In 2026 order 4711 had 12 boats."),
        ("Card 4111 1111 1111 1112 is none.", "Card 4111 1111 1111 1112 is none."),
    ],
    ids=["email", "phone", "iban", "card", "numbers", "no-card"],
)
def test_finds(text, expected):
    assert redact(text, RedactionSettings()) == expected


def test_kinds_can_be_kept():
    assert redact("a@b.org +49 30 901820", RedactionSettings(keep=("email",))) == "a@b.org [phone]"


async def test_nothing_personal_is_stored(memhost_host):
    async with memhost_host(plugins={"redaction": "redaction"}, settings={"REDACTION_KEEP": "phone"}) as host:
        await call(host, "create_memories", memories=[{"id": "a", "text": "Ann's address is ann@mail.example.org"}])
        await call(
            host,
            "put_session",
            session_id="s1",
            messages=[{"role": "user", "content": "I am bob@mail.example.org, +49 30 901820"}],
        )
        view = await call(host, "get_session", session_id="s1")
        assert view.messages[0].content == "I am [email], +49 30 901820"
        found = await call(host, "search_memories", limit=100)
        assert len(found.memories) == 2
        assert not [memory for memory in found.memories if "@" in memory.text]


async def test_questions_and_older_memories_are_redacted(memhost_host):
    settings = {"STORE": "sqlite"}
    async with memhost_host(settings=settings) as host:
        await call(host, "create_memories", memories=[{"id": "old", "text": "Ann is ann@mail.example.org"}])
    async with memhost_host(plugins={"redaction": "redaction"}, settings=settings) as host:
        await call(host, "create_memories", memories=[{"id": "new", "text": "Bob is bob@mail.example.org"}])
        found = await call(host, "search_memories", text="Who is bob@mail.example.org?", limit=10)
        assert {hit.id: hit.text for hit in found.memories} == {"old": "Ann is [email]", "new": "Bob is [email]"}
