"""Answers of small and local models: their content is read, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from memhost.extraction import PromptedSettings
from memhost.extraction.parsing.answers import Limits, Reading, divide, read_answer
from memhost.extraction.parsing.loose_json import mend
from memhost.extraction.parsing.placeholders import plain_words
from memhost.extraction.temporal.said_dates import read_date
from memhost.ports import Parsed
from memhost_strategy_discrete.strategy import Discrete
from tests.support.conversations import NOW, answer, context, said

LIMITS = Limits(sent=("m1", "m2"), now=NOW)
TEA, CAT, BOTH = ["User likes tea."], ["User has a cat."], ["User likes tea.", "User has a cat."]
GOOD = '{"memories": [{"text": "User likes tea."}]}'


def read(text: str) -> Reading:
    return read_answer(text, LIMITS)


def texts(text: str) -> list[str] | None:
    """The texts of an answer; None if it cannot be read."""
    reading = read(text)
    return None if reading.problem is not None else [item.draft.text for item in reading.items]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # other names, and other places
        ('{"memories": [{"memory": "User likes tea."}]}', TEA),
        ('{"memories": [{"Fact": "User likes tea."}, {"statement": "User has a cat."}]}', BOTH),
        ('{"memories": [{"observation": "User likes tea.", "type": "semantic"}]}', TEA),
        ('{"facts": ["User likes tea."]}', TEA),
        ('{"user_facts": ["User likes tea."], "confidence": 0.9}', TEA),
        ('{"result": {"extracted": [{"fact": "User likes tea."}, {"fact": "User has a cat."}]}}', BOTH),
        ('{"Memories": [{"Text": "User likes tea."}]}', TEA),
        ('{"memories": ["User likes tea.", "User has a cat."]}', BOTH),
        ('["User likes tea.", "User has a cat."]', BOTH),
        ('{"memories": [["User likes tea."], ["User has a cat."]]}', BOTH),
        ('{"memories": {"1": {"text": "User likes tea."}, "2": {"text": "User has a cat."}}}', BOTH),
        ('{"memories": {"1": "User likes tea.", "2": "User has a cat."}}', BOTH),
        ('{"1": {"text": "User likes tea."}, "2": {"text": "User has a cat."}}', BOTH),
        ('{"memories": "User likes tea."}', TEA),
        ('<tool_call>\n{"name": "save", "arguments": {"memories": [{"text": "User likes tea."}]}}\n</tool_call>', TEA),
        # several pieces
        ('{"text": "User likes tea."}\n{"text": "User has a cat."}', BOTH),
        ('{"text": "User likes tea.",}\n{"text": "User has a cat.",}', BOTH),
        ('1. {"text": "User likes tea."}\n2. {"text": "User has a cat."}', BOTH),
        ('Memory 1: {"text": "User likes tea."}\nMemory 2: {"text": "User has a cat."}', BOTH),
        (GOOD + "\n" + GOOD.replace("likes tea", "has a cat"), BOTH),
        ('{"memories": [{"text": "User likes tea."}], "memories": []}', TEA),
        ('{"memories": [{"text": "User likes tea."}], "memories": [{"text": "User has a cat."}]}', BOTH),
        # broken JSON
        ('{"memories": [{"text": "User likes tea.",},]}', TEA),
        ("{'memories': [{'text': 'User likes tea.'}]}", TEA),
        ("{'memories': [{'text': 'User's cat is Mimi.', 'topics': ['pets']}]}", ["User's cat is Mimi."]),
        ("{'memories': [{'text': \"User's cat is Mimi.\", 'pinned': True}]}", ["User's cat is Mimi."]),
        ("{'memories': [{'text': 'User\\'s cat is Mimi.'}]}", ["User's cat is Mimi."]),
        ('{memories: [{text: "User likes tea."}]}', TEA),
        ("{“memories”: [{“text”: “User likes tea.”}]}", TEA),
        ('{"memories": [{"text": "User likes tea.", "event_date": None, "pinned": True}]}', TEA),
        ('{"memories": [{"text": "User likes\ntea."}]}', TEA),
        ('{"memories": [{"text": "User calls the cat "Mimi"."}]}', ['User calls the cat "Mimi".']),
        (
            '{"memories": [{"text": "User said "no, thanks" to Bob", "type": "x"}, {"text": "User has a cat."}]}',
            ['User said "no, thanks" to Bob', "User has a cat."],
        ),
        ('{"memories": [{"text": "Cats "Mimi", "Bo" and "Kiki"."}]}', ['Cats "Mimi", "Bo" and "Kiki".']),
        ('{"memories": [{"text": "User likes tea." "type": "semantic"} {"text": "User has a cat."}]}', BOTH),
        ('```json\n{"memories": [{"text": "User likes tea."}, // drinks\n {"text": "User has a cat."}]}\n```', BOTH),
        ('User said: "ok". {"memories": [{"text": "User likes tea.",}]}', TEA),
        ('{"memories": [{"text": "Cat: "Mimi, the great"", "type": "semantic"}]}', ['Cat: "Mimi, the great"']),
        ('{"memories": [{"text": "A tube of 5" width"}, {"text": "User has a cat."}]}', ['A tube of 5" width', *CAT]),
        ('{"memories": [{"text": "User likes tea.", "event_date": 2026-03-01, "topics": [drinks]}]}', TEA),
        ('{"semantic": ["User likes tea."], "episodic": ["User has a cat."]}', BOTH),
        (GOOD.replace('"', "&quot;"), TEA),
        (json.dumps(GOOD), TEA),
        (f"Answer: {json.dumps(GOOD)}", TEA),
        (GOOD.replace('"', '\\"'), TEA),
        (json.dumps({"name": "save", "arguments": GOOD}), TEA),
        (json.dumps({"memories": json.dumps([{"text": "User likes tea."}])}), TEA),
        # drafts, examples and thoughts in front of the answer
        ('```json\n{"memories": []}\n```\nWait, I missed one:\n```json\n' + GOOD + "\n```", TEA),
        ('Format: {"memories": [{"text": "string", "type": "semantic"}]}\nAnswer: ' + GOOD, TEA),
        ('Draft: {"memories": [{"text": "User likes beer."}]}\n\nNo, the final answer is:\n' + GOOD, TEA),
        ('Example: {"memories": [{"text": "User lives in Rome."}]}. My answer: ' + GOOD, TEA),
        ('<think>{"memories": [{"text": "User likes beer."}]}</think>\n' + GOOD, TEA),
        ('Perhaps {"memories": [{"text": "User likes beer."}]}.\n</think>\n\n' + GOOD, TEA),
        (
            '<|channel|>analysis<|message|>{"memories": [{"text": "User likes beer."}]}<|end|><|start|>assistant'
            f"<|channel|>final<|message|>{GOOD}<|return|>",
            TEA,
        ),
        # short and long
        ('{"memories": [{"text": "爱茶"}]}', ["爱茶"]),
        ('{"memories": [{"text": "猫好き"}, {"text": "차 좋아함"}]}', ["猫好き", "차 좋아함"]),
        ('\ufeff{"memories": [{"text": "User likes tea."}]', TEA),
    ],
)
def test_what_the_answer_holds_is_read(given: str, expected: list[str]) -> None:
    assert texts(given) == expected


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ({"text": "User likes tea."}, {"facts": ["User has a cat."]}),
        ({"text": "User likes tea."}, {"memories": [{"text": "User has a cat.", "type": "semantic"}]}),
        ({"text": "Пользователь любит чай."}, {"items": ["Пользователь держит кошку."]}),
        ({"text": "用户喜欢喝茶。"}, {"facts": ["用户养了一只猫。"]}),
        ({"Text": "Mia likes tea.", "topics": ["drinks"]}, {"notes": [{"text": "User has a cat."}]}),
        ({"text": "L'utilisateur aime le thé."}, {"facts": ["L'utilisateur a un chat."]}),
    ],
)
def test_a_memory_beside_a_list_of_others_is_one_more(own: dict[str, Any], others: dict[str, Any]) -> None:
    (more,) = next(iter(others.values()))
    expected = [next(iter(own.values())), more["text"] if isinstance(more, dict) else more]
    assert texts(json.dumps({**own, **others})) == expected
    assert texts(json.dumps({**others, **own}, ensure_ascii=False)) == expected


@pytest.mark.parametrize("name", ["facts", "memories"])
@pytest.mark.parametrize(
    "text",
    [
        "Here are the memories.",
        "Here is what I found:",
        "User facts:",
        "I extracted one memory from the conversation.",
        "The following facts were extracted.",
        "One fact was found.",
        "Sure! Here is the JSON.",
        "Hier sind die Erinnerungen.",
        "Voici les souvenirs extraits :",
        "Estos son los recuerdos.",
        "Вот воспоминания из разговора.",
        "以下是提取的记忆。",
        "I love cats and have one.",
    ],
)
def test_what_introduces_a_list_of_memories_is_none(text: str, name: str) -> None:
    assert texts(json.dumps({"text": text, name: ["User has a cat."]})) == CAT


@pytest.mark.parametrize(
    "given",
    [
        "I think the user likes tea.",
        'The topics are ["tea", "cats"].',
        "I (really) love [tea] and {cats}.",
        "See [1], [2] and {3}: the user 'likes' tea.",
        "User: {name: Anna}, [age: 3]",
        '{"type":"object","properties":{"memories":{"type":"array","items":{"properties":{"text":{}}}}}}',
        '{"$schema": "x", "memories": {"type": "array"}}',
        '{"type": "object", "properties": {}, "examples": [{"memories": [{"text": "User lives in Rome."}]}]}',
        '{"error": "I cannot do that right now."}',
        '{"status": "ok", "reason": "There was nothing new to say."}',
        '{"answer": "There is a lot to say about tea."}',
        '{"topics": ["green tea", "black tea"]}',
        '{"title": "A talk about tea", "language": "en"}',
        '{"memories": [{"topics": ["green tea", "black tea"], "text": "User li',
        '{"memories": 5}',
        '{"memories": [{"text": "User likes tea., "type": "semantic"}]}',
        '{"memories": [{"text: "User likes tea.", "type": "semantic"}]}',
        "{" * 30_000 + "}" * 30_000,
        'Example: {"memories": [{"text": "User lives in Rome."}]}\n\nIn this case: {"memories": []}',
    ],
)
def test_what_is_no_answer_is_not_read(given: str) -> None:
    assert texts(given) is None


@pytest.mark.parametrize(
    "text",
    """
    N/A|None|null|...|No memories.|No new memories to note.|There is nothing to note.|Nothing to remember|-|—
    Keine|Es gibt nichts zu notieren.|Rien à noter.|Nada que recordar|Niente da ricordare|Nada|Нет|没有|なし|特になし
    """.replace("\n", "|")
    .strip(" |")
    .split("|"),
)
def test_words_for_nothing_are_an_empty_answer(text: str) -> None:
    reading = read(answer({"text": text.strip()}))
    assert (reading.problem, reading.items, reading.faults) == (None, [], 0)


@pytest.mark.parametrize(
    "item",
    [
        {"text": "string"},
        {"text": "<the statement>"},
        {"text": "[statement]"},
        {"text": "your memory here"},
        {"text": "A statement about the user", "type": "semantic|episodic"},
        {"text": "The statement itself", "event_date": "YYYY-MM-DD or null"},
        {"text": "Answer with one JSON object and nothing else"},
        {"text": "the statement, under 300 characters"},
        {"text": "what it is about, in words that stay when the fact changes"},
        {"text": "lasting facts about the user"},
    ],
)
def test_the_form_is_no_memory(item: dict[str, Any]) -> None:
    frame = plain_words("Lasting facts about the user. " + PROMPT)
    reading = read_answer(answer(item), Limits(sent=(), now=NOW, frame=frame))
    assert reading.items == []
    assert reading.faults == 1


request = Discrete().prepare(said("hi"), context())
assert request is not None
PROMPT = str(request.messages[0]["content"])


@pytest.mark.parametrize(
    "text",
    """
    No meetings on Fridays for User.|Nothing beats tea for User.|None of User's children eats meat.|No nuts, please.
    User said that there is nothing to note.|Nobody called.|User's note says N/A.|User likes the string quartet.
    User's band is called None.|Nothing Compares 2 U is User's favourite song.|User found no memories of the war.
    Keine Nüsse für Anna.|Nichts schmeckt User besser als Tee.|Rien ne plaît plus à User que le thé.|Nada le gusta más.
    没有坚果，用户过敏。|ナッツなしの食事がよい。|Нет ничего лучше чая для Анны.|Nessun dolce per Anna.
    No pets.|No sugar in coffee|There is no heating in User's flat.|User noted the form.|User tells Bob the statement.
    """.replace("\n", "|")
    .strip(" |")
    .split("|"),
)
def test_statements_that_only_look_like_nothing_are_kept(text: str) -> None:
    limits = Limits(sent=(), now=NOW, frame=plain_words(PROMPT))
    (item,) = read_answer(answer({"text": text.strip()}), limits).items
    assert item.draft.text == text.strip()


def test_of_an_answer_that_is_broken_in_one_item_the_others_are_kept_and_the_rest_is_asked_for() -> None:
    broken = '{"memories": [{"text": "User likes tea., "confidence": 0.9}, {"text": "User has a cat."}]}'
    reading = read(broken)
    assert [item.draft.text for item in reading.items] == CAT
    assert reading.cut
    parsed = Discrete().parse(broken, said("I like tea and have a cat"), context())
    assert parsed.repair is not None
    assert "1 items arrived whole" in parsed.repair
    whole = read("User: {name: Anna, [x]} and more. " + GOOD)
    assert (len(whole.items), whole.cut) == (1, False)


def test_drafts_in_thoughts_do_not_make_an_empty_answer_unclear() -> None:
    assert texts('<think>{"memories": [{"text": "User likes beer."}]}? No.</think>\n{"memories": []}') == []


def test_a_precision_does_not_go_to_the_date_of_another_item() -> None:
    exact = {"text": "User moved to Oslo.", "type": "episodic", "event_date": "2026-02-03"}
    vague = {**exact, "event_date": "2026-02"}
    (item,) = read(answer(exact, vague)).items
    assert (item.draft.event_date, item.draft.event_precision) == (datetime(2026, 2, 3, tzinfo=UTC), "day")
    (item,) = read(answer({**exact, "event_date": None}, vague)).items
    assert item.draft.event_precision == "month"


def test_long_text_is_divided_between_sentences_and_nothing_of_it_is_lost() -> None:
    said_long = " ".join(f"User owns book number {number}." for number in range(60))
    items = read(answer({"text": said_long, "topics": ["books"]})).items
    assert len(items) > 1
    assert all(item.draft.text.endswith(".") and len(item.draft.text) <= 1000 for item in items)
    assert " ".join(item.draft.text for item in items) == said_long
    assert all(item.draft.topics == ["books"] for item in items)


@pytest.mark.parametrize("sign", ["x", "喵", "word "])
def test_long_text_without_sentences_is_divided_as_well(sign: str) -> None:
    parts = divide(sign * 2500, 1000)
    assert "".join(parts).replace(" ", "") == (sign * 2500).replace(" ", "")
    assert all(len(part) <= 1000 for part in parts)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("drinks, tea", ["drinks", "tea"]),
        ("drinks; tea", ["drinks", "tea"]),
        ('["drinks", "tea"]', ["drinks", "tea"]),
        ("['drinks', 'tea']", ["drinks", "tea"]),
        ([{"name": "drinks"}, {"name": "tea"}], ["drinks", "tea"]),
        ("饮料、茶", ["饮料", "茶"]),
        (["drinks", "None", "N/A"], ["drinks"]),
        ("none", []),
    ],
)
def test_topics_in_other_forms(given: Any, expected: list[str]) -> None:
    (item,) = read(answer({"text": "User likes tea.", "topics": given})).items
    assert item.draft.topics == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("high", 0.9), ("Low", 0.3), ("0.9", 0.9), ("0,9", 0.9), ("90%", 0.9), ("90 %", 0.9), ("9/10", 0.9),
        ("hoch", 0.9), ("高", 0.9), ("perhaps", None), ("", None), ("1/0", 0.0),
    ],
)  # fmt: skip
def test_confidence_in_words(given: str, expected: float | None) -> None:
    (item,) = read(answer({"text": "User likes tea.", "confidence": given})).items
    assert item.draft.confidence == expected


@pytest.mark.parametrize("given", ["m1, m2", ["m1", "m2"], "[m1, m2]", ["m1,m2"]])
def test_sources_in_other_forms(given: Any) -> None:
    (item,) = read(answer({"text": "User likes tea.", "source_message_ids": given})).items
    assert item.draft.source_ids == ["m1", "m2"]


@pytest.mark.parametrize(
    ("given", "day", "precision"),
    [
        ("May 7, 2023", "2023-05-07", None),
        ("7 May 2023", "2023-05-07", None),
        ("7th of May 2023", "2023-05-07", None),
        ("07.05.2023", "2023-05-07", None),
        ("2023/05/07", "2023-05-07", None),
        ("13/05/2023", "2023-05-13", None),
        ("05/13/2023", "2023-05-13", None),
        ("7. Mai 2023", "2023-05-07", None),
        ("7 mai 2023", "2023-05-07", None),
        ("7 de mayo de 2023", "2023-05-07", None),
        ("7 мая 2023 г.", "2023-05-07", None),
        ("2023年5月7日", "2023-05-07", None),
        ("May 2023", "2023-05-01", "month"),
        ("2023-05", "2023-05-01", "month"),
        ("2023年5月", "2023-05-01", "month"),
        ("2023", "2023-01-01", "year"),
        (2023, "2023-01-01", "year"),
        ("2023-W19", "2023-05-08", "week"),
        ("2023-W19-3", "2023-05-10", None),
        ("2023年5月7号", "2023-05-07", None),
        ("2023년 5월 7일", "2023-05-07", None),
        ("2023년 5월", "2023-05-01", "month"),
        ("7 mei 2023", "2023-05-07", None),
        ("7 maja 2023", "2023-05-07", None),
        ("7 Mayıs 2023", "2023-05-07", None),
        ("0001-01-01", None, None),
        ("0001-01-01T00:00:00Z", None, None),
        ("2023-W60", None, None),
        ("2023-Q1", None, None),
        ("spring 2023", None, None),
        ("early May 2023", None, None),
        ("2023-05-??", None, None),
        ("2023-05-07/", None, None),
        ("2023-05-07/now", None, None),
        ("2023-05-07/2023-05-01", None, None),
        ("c. 2023", None, None),
        ("2020s", None, None),
        ("4.3.26", None, None),
        ("1683417600", None, None),
        ("05/07/2023", None, None),
        ("next week", None, None),
        ("32 May 2023", None, None),
        ("ma 2023", None, None),
        ("ju 2023", None, None),
    ],
)
def test_dates_in_other_forms(given: Any, day: str | None, precision: str | None) -> None:
    expected = None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = read_date(given)
    assert (found and found.start) == expected
    if found is not None:
        assert (found.precision, found.end) == (precision or "day", None)


def test_an_answer_of_which_nothing_can_be_used_is_asked_for_again_and_then_told() -> None:
    strategy, useless = Discrete(), answer({"text": "string"})
    first = strategy.parse(useless, said("I like tea"), context())
    assert first.repair is not None
    again = strategy.parse(useless, said("I like tea"), context(), first)
    assert not again.usable
    assert strategy.parse(answer(), said("I like tea"), context(), first).usable
    found: Parsed = strategy.parse(GOOD, said("I like tea"), context(), first)
    assert [draft.text for draft in found.drafts] == TEA
    assert found.usable


def test_what_the_operator_wants_noted_may_be_said() -> None:
    strategy = Discrete(PromptedSettings(instructions="Note such things as: the team deploys on Fridays."))
    parsed = strategy.parse(answer({"text": "The team deploys on Fridays."}), said("We deploy on Fridays."), context())
    assert [draft.text for draft in parsed.drafts] == ["The team deploys on Fridays."]
    form = answer({"text": "when it happened or since when it holds"}, {"text": "User likes tea."})
    assert [draft.text for draft in strategy.parse(form, said("hi"), context()).drafts] == TEA


def test_what_is_too_deep_or_too_long_is_not_mended() -> None:
    assert mend("{'a': 1}") == {"a": 1}
    assert mend("{'a':" * 40 + "1" + "}" * 40) is None
    assert mend("['a', " + "'b', " * 30_000 + "]") is None
