"""More habits of small models: envelopes, drafts, echoes, signs of other keyboards, forms in several languages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from memhost.extraction.parsing.answers import read_answer
from tests.core.extraction.test_answer_shapes import BOTH, CAT, GOOD, LIMITS, TEA, texts
from tests.core.extraction.test_dates import NOT_DATES
from tests.core.extraction.test_more_dates import UNDATED

CALL = '<tool_call>\n{"name": "save", "arguments": {"text": "User %s."}}\n</tool_call>'
FENCE = '```json\n{"text": "User %s."}\n```'
ITEM = '{"text": "User %s."}'


def two(form: str, first: str = "", second: str = "") -> str:
    return f"{first}{form % 'likes tea'}\n{second}{form % 'has a cat'}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # parts of one list
        (two(CALL), BOTH),
        (two(FENCE), BOTH),
        (two(FENCE, "First memory:\n", "Second memory:\n"), BOTH),
        (two(ITEM, "Erste Erinnerung:\n", "Zweite Erinnerung:\n"), BOTH),
        (two(ITEM, "**Memory 1**\n", "\n**Memory 2**\n"), BOTH),
        (two(FENCE, "### 1\n", "### 2\n"), BOTH),
        ("<memory>" + ITEM % "likes tea" + "</memory><memory>" + ITEM % "has a cat" + "</memory>", BOTH),
        # no parts of one list
        (two(FENCE, "Draft:\n", "Final:\n"), CAT),
        (two(ITEM, "Version 1:\n", "Version 2:\n"), CAT),
        (two(ITEM, "My attempt:\n", "Next attempt:\n"), CAT),
        (two(ITEM, "Example:\n", "Answer:\n"), CAT),
        (two(ITEM, "I first thought of\n", "but it should be\n"), CAT),
        # what is said around items is none of them
        *(
            ({key: "Memories of the conversation.", "memories": [{"text": "User likes tea."}]}, TEA)
            for key in ("summary", "note", "description", "content", "text", "fact")
        ),
        ({"text": "", "memories": [{"text": "User likes tea."}]}, TEA),
        ({"summary": "User talked about tea.", "memories": []}, []),
        (
            [
                {"type": "text", "text": "I will save it."},
                {"type": "tool_use", "name": "save", "input": {"memories": [{"text": "User likes tea."}]}},
            ],
            TEA,
        ),
        ([{"type": "text", "text": GOOD}], TEA),
        ({"choices": [{"message": {"role": "assistant", "content": GOOD}}]}, TEA),
        ('{"id": "m1", "role": "user", "text": "I love tea."}\n' + GOOD, TEA),
        # and lists inside of an item make no envelope of it
        ({"text": "User likes tea.", "notes": [], "events": []}, TEA),
        ({"memories": [{"type": "text", "text": "User likes tea."}]}, TEA),
        ({"memories": [{"role": "user", "text": "User likes tea."}]}, TEA),
        ([{"type": "text", "text": "User likes tea.", "topics": ["drinks"]}], TEA),
        ({"memories": [{"text": "", "fact": "User likes tea."}]}, TEA),
        ({"memories": [{"text": None, "memory": "User likes tea."}]}, TEA),
        ({"memories": [{"note": "from m1", "text": "User likes tea."}]}, TEA),
        ({"memories": [{"key": "drink", "value": "User likes tea."}]}, TEA),
        # signs
        ('{"memories"：[{"text"："User likes tea."}，{"text"："User has a cat."}]}', BOTH),
        ('{"memories": [{"text": """User likes tea."""}]}', TEA),
        (GOOD.replace('"', "&#34;"), TEA),
        (
            '{"memories": [{"text": "User saves to C:\\Users\\anna\\notes."}]}',
            ["User saves to C:\\Users\\anna\\notes."],
        ),
        ('{"memories": [{"text": "User likes \\alpha and\\beta."}]}', ["User likes \\alpha and\\beta."]),
        ('{"memories": [{"text": "User\\\'s cat\\nis Mimi."}]}', ["User's cat is Mimi."]),
        ('{"memories": [{"text": "Ana：“Tee”，Bob：“Milch”", "x": None}]}', ["Ana：“Tee”，Bob：“Milch”"]),
        ("<think>\n" + GOOD, TEA),
    ],
)
def test_what_the_answer_holds_is_read(given: Any, expected: list[str]) -> None:
    assert texts(given if isinstance(given, str) else json.dumps(given)) == expected


@pytest.mark.parametrize(
    "given",
    [
        '{"id": "m1", "role": "user", "text": "I love tea."}',
        '{"messages": [{"id": "m1", "role": "user", "text": "I love tea."}]}',
        '[{"role": "user", "content": "I love tea."}, {"role": "assistant", "content": "Nice!"}]',
        '[{"type": "text", "text": "I will save it."}]',
        '<think>\nThe user likes beer, so {"memories": [{"text": "User likes beer."}]}, or perhaps',
        '{"memories" => [{"text" => "User likes tea."}]}',
        '{"memories" = [{"text" = "User likes tea."}]}',
        '{"memories": [{"text" "User likes tea."}]}',
        '{"memories": [{"text": "User likes " + "tea."}]}',
        "memories:\n  - text: User likes tea.\n    topics: [drinks, tea]\n    entities: []",
    ],
)
def test_what_is_no_answer_is_not_read(given: str) -> None:
    assert texts(given) is None


@pytest.mark.parametrize(
    "item",
    [
        {"subject": "User", "predicate": "likes", "object": "tea"},
        {"key": "drink", "value": "tea"},
        {"text": "I'm sorry, but I cannot extract memories from this."},
    ],
)
def test_an_item_that_cannot_be_used_is_no_empty_answer(item: dict[str, Any]) -> None:
    reading = read_answer(json.dumps({"memories": [item]}), LIMITS)
    assert (reading.items, reading.faults) == ([], 1)


@pytest.mark.parametrize(
    "text",
    """
    example memory|Your memory text|the text of the memory|memory content|A fact about the user|insert text|xxx|$text
    {{text}}|Example memory 1|Placeholder text|string (max 300 chars)|string, under 300 characters|one sentence
    Lorem ipsum dolor sit amet|Beispieltext|Text der Erinnerung|texte|texto|testo|текст|строка|文本|字符串
    テキスト|텍스트|    inga|hiç|ei mitään|žádné|لا شيء|कुछ नहीं|ไม่มี|không có|tidak ada|нічого
    Pas de souvenir|Sin recuerdos
    No hay recuerdos nuevos.|Sem memórias|Nenhuma memória nova.|The user provided no information.
    memory_text|string or null|No data|Not applicable|Not mentioned|nicht angegeben|Unbekannt|неизвестно|未知|해당 없음
    No memorable facts were mentioned.|Es wurden keine neuen Informationen gefunden.|Никакой новой информации.
    User did not share anything.|The conversation does not contain any memorable information.
    """.replace("\n", "|")
    .strip(" |")
    .split("|"),
)
def test_forms_and_words_for_nothing_are_no_memory(text: str) -> None:
    assert read_answer(json.dumps({"memories": [{"text": text.strip()}]}), LIMITS).items == []


KEPT = (
    """
User's cat is called None.|User's nickname is String.|User's dog is called Null.|User likes string beans.|Fact 1.
User prefers plain text.|User's example memory is his wedding.|User teaches memory techniques.
Memory is a good game.|Anna's fact book is blue.|User plays in the band N/A.
Nada is User's sister.|Niente is User's favourite bar.
User spielt bei Keine Ahnung.|Nichts ist der Lieblingsfilm des Nutzers.|User's variable is called {name}.
Нет is User's cat.|なしが好き。|没有人知道用户的名字。|用户没有猫。|No dairy for User.|No contact with Bob.
Keine Milch für Anna.|Nada de carne para Ana.|Niente latte.|Rien de gras.|Pas de lait.
Sem açúcar.|Sin gluten.|Нет молока.|没有辣。
Zero sugar.|No information about User may leave the EU.|No updates on Fridays.
Text is User's favourite app.|Todo is User's dog.
Not available on Fridays.|Nicht bekannt mit Bob.|No data leaves the EU.|Not mentioned by Bob: the cat.|未知の国が好き。
Unbekannt verzogen ist Bob.|Неизвестно, когда приедет Анна.|No info about Bob's trip.|Es wurden keine Nüsse serviert.
Никакой соли для Анны.|No se encontró la llave de Ana.|Not given to anger, says Anna.|A string or a rope helps User.
User got a statement from the bank.|<3 is what User writes to Ana.|Sample Text is a meme that User likes.
I'm sorry is what User says when late.|User does not share personal information.|User did not share the cake.
User's text for Anna is short.|User did not mention any date for the trip.|The user shared no photos.
A memory of Rome makes User happy.|User writes one sentence a day.|User's sample is at the lab.
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


@pytest.mark.parametrize("text", [*KEPT, *NOT_DATES[::2], *UNDATED[::2]])
def test_statements_that_only_look_like_forms_are_kept(text: str) -> None:
    (item,) = read_answer(json.dumps({"memories": [{"text": text}]}), LIMITS).items
    assert item.draft.text == text
