"""Recalled memories that come back in a turn are cut out; what a user writes stays, lists and headings among it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memhost.host import Host
from memhost.testing.clock import FakeClock
from memhost.text.recalled.own_text import own_text
from tests.support.hosts import run, running_host

NOW = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
FACTS = (
    "User prefers tabs over spaces.",
    "User works at Initech as a QA lead.",
    "User's sister Zoë lives in Łódź; she <b>paints</b>.",
    'User calls the cat "Mr {Paws}" [sic].',
    "Userは毎朝コーヒーを飲む。",
)
SAID = (
    "Mia: I booked the flight to Porto yesterday.",
    "Bob: Lovely! Window seat?",
    "Mia: Aisle seat, I told you on 2026-02-28.",
    "Mia: My gate is B17.",
)
MARKS = ("tabs over", "Initech", "paints", "Paws", "コーヒー", "flight", "Window seat", "Aisle", "B17")
"""Words of everything that is remembered; none of them may be left."""
OWN = (
    "What should I pack for the weekend?",
    "Bitte fass das kurz zusammen, ich heiße jetzt Anna Schmidt.",
    "- buy milk\n- call the plumber at 5 pm",
    "Tôi thích phở.",
    "I adopted a dog, Rex.\n\nHe is two.",
    "今日は大阪に引っ越しました。",
)


async def renderings(host: Host) -> list[str]:
    """Contexts in each format and memory prompts, with and without ids, for questions that find something or not."""
    memories = [{"id": f"f{n}", "text": text, "user_id": "mia"} for n, text in enumerate(FACTS)]
    await run(host, "store_memories", memories=memories)
    messages = [
        {"id": f"a{n}", "role": "assistant" if text.startswith("Bob") else "user", "content": text}
        for n, text in enumerate(SAID)
    ]
    await run(host, "put_session", session_id="a", user_id="mia", messages=messages)
    found = []
    for query in ("What do you know about the flight to Porto?", "tabs, Initech, sister, cat, coffee コーヒー"):
        for ids in (False, True):
            for form in ("markdown", "xml", "json", "messages"):
                for budget in (300, 900):
                    context = await run(
                        host, "get_context", query=query, user_id="mia", format=form, budget=budget, include_ids=ids
                    )
                    found.append(context.text)
                    if form == "json":
                        found.append(json.dumps(json.loads(context.text), indent=2, ensure_ascii=False))
                    if form == "messages":
                        found += [message.content.text for message in context.messages]
            prompt = await run(
                host,
                "memory_prompt",
                query=query,
                long_term_search={"user_id": {"eq": "mia"}},
                include_ids=ids,
            )
            found.append(prompt.messages[-2].content.text)
    return [text for text in dict.fromkeys(found) if text.strip()]


def fed_back(block: str, own: str, rng: random.Random) -> str:
    """A turn with a block in it, changed as agents change one."""
    wrap: list[Callable[[str], str]] = [
        lambda text: text,
        lambda text: "".join(f"    {line}\n" for line in text.split("\n")).rstrip("\n"),
        lambda text: "".join(f"> {line}\n" for line in text.split("\n")).rstrip("\n"),
        lambda text: f"```\n{text}\n```",
        lambda text: f"```markdown\n{text}\n```",
        lambda text: "".join(f"> > {line}\n" for line in text.split("\n")).rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
    ]
    if rng.random() < 0.3:
        block = block[: rng.randrange(len(block) // 3, len(block))].rstrip()
    block = rng.choice(wrap)(block)
    gap = rng.choice(("\n", "\n\n", "\n\n\n"))
    return rng.choice((f"{block}{gap}{own}", f"{own}{gap}{block}", f"{own}{gap}{block}{gap}{own}"))


async def test_a_thousand_turns_with_a_block_of_ours_keep_only_what_the_user_said(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", clock=FakeClock(NOW)) as host:
        blocks = await renderings(host)
    assert len(blocks) > 20
    assert all(any(mark in block for block in blocks) for mark in MARKS)
    rng = random.Random(7)
    for _ in range(1_000):
        own = rng.choice(OWN)
        turn = fed_back(rng.choice(blocks), own, rng)
        left = own_text(turn)
        assert not [mark for mark in MARKS if mark in left], turn
        kept = [line for line in own.split("\n") if line]
        if not own.startswith("- ") or "\n\n" in turn:
            assert all(line in left for line in kept), (turn, left)


OTHERS = (
    "[Recalled memories] - User prefers tabs over spaces - User works at Initech as QA lead [/Recalled memories]",
    "[Recalled memories]\n- User prefers tabs over spaces\n- User works at Initech\n[/Recalled memories]",
    "[MEMORY CONTEXT]\nUser prefers tabs over spaces.\n[/MEMORY CONTEXT]",
    "[Retrieved memories]\n- User prefers tabs over spaces\n- User works at Initech",
    "<memory>\nUser prefers tabs over spaces.\nUser works at Initech.\n</memory>",
    "<memory>\n- Prefers tabs over spaces\n- Works at Initech\n</memory>",
    "<memories>\n- Prefers tabs over spaces\n- Works at Initech\n</memories>",
    '<memories source="store">\n<memory id="1">User prefers tabs over spaces.</memory>\n</memories>',
    "<user_memories>Prefers tabs over spaces. Works at Initech.</user_memories>",
    "<relevant-memories>\n1. [2026-01-02] user: I prefer tabs over spaces\n</relevant-memories>",
    "<supermemory-context>\nThe user works at Initech.\n</supermemory-context>",
    "<recalled_memories>\n* User works at Initech (2026-01-01)\n</recalled_memories>",
    "## Relevant memories\n- User prefers tabs over spaces\n- User works at Initech",
    "## Relevant Memories\n\n1. Prefers tabs over spaces\n2. Works at Initech",
    "**Relevant memories:**\n* Prefers tabs over spaces\n* Works at Initech",
    "Relevant memories from previous conversations:\n- Prefers tabs over spaces",
    "Here are the relevant memories:\n- Prefers tabs over spaces\n  (said in May)\n- Works at Initech",
    "Known facts about the user:\n- Prefers tabs over spaces\n- Works at Initech",
    "### Facts about the user\n- prefers tabs over spaces",
    "What I know about the user:\n- works at Initech",
    "Memories about the user:\n1) Works at Initech",
    "User memories:\n- User works at Initech\n- User prefers tabs over spaces",
    "Long-term memories:\n- The user works at Initech.",
    "Bekannte Fakten über den Nutzer:\n- Arbeitet bei Initech",
    "## Relevante Erinnerungen\n- Nutzer arbeitet bei Initech",
    "Faits connus sur l'utilisateur :\n- Travaille chez Initech",
    "Datos conocidos sobre el usuario:\n- Trabaja en Initech",
    "ユーザーに関する既知の事実:\n- Initechで働いている",
    "关于用户的已知信息:\n- 在Initech工作",
    "<FACTS>\n- User works at Initech (2026-01-01 - present)\n</FACTS>",
    "<memory_blocks>\nThe user works at Initech.\n</memory_blocks>",
    "<long_term_memory>\nworks at Initech\n</long_term_memory>",
    "User Context:\n1. [2026-01-02]. User works at Initech.\n2. [2026-01-03]. Prefers tabs.",
    "# Model Set Context\n1. [2026-01-02]. The user works at Initech.",
    "Relevant user memories:\n- works at Initech",
    "Information about the user:\n- works at Initech",
    "[Recuerdos]\n- El usuario trabaja en Initech\n[/Recuerdos]",
    "[Recuerdos]\n- El usuario trabaja en Initech",
    "[Воспоминания]\n- Пользователь работает в Initech\n[/Воспоминания]",
    "【記憶】\n・ユーザーはInitechで働いている\n【記憶ここまで】",
    "【记忆】\n- 用户在Initech工作\n【/记忆】",
    "<souvenirs>\n- Travaille chez Initech\n</souvenirs>",
    "[Erinnerungen]\nDer Nutzer arbeitet bei Initech.\n[Ende Erinnerungen]",
    "Relevante Erinnerungen aus früheren Gesprächen:\n* Nutzerin arbeitet bei Initech (2025-03-01)",
    "Souvenirs pertinents de nos échanges :\n- travaille chez Initech",
    "Erinnerungen an den Nutzer:\n- arbeitet bei Initech",
    "Informazioni sull'utente:\n- lavora a Initech",
    "Fatos conhecidos sobre o usuário:\n- trabalha na Initech",
    "Известные факты о пользователе:\n- работает в Initech",
    "Informations sur l'utilisatrice :\n- travaille chez Initech",
    "> ## Relevant memories\n> - User works at Initech",
    "```\n<memories>\n- Works at Initech\n</memories>\n```",
)


@pytest.mark.parametrize("block", OTHERS)
def test_what_other_systems_recall_is_cut_out(block: str) -> None:
    assert own_text(block) == ""
    for turn in (f"{block}\n\nI moved to Graz.", f"I moved to Graz.\n\n{block}", f"{block}\nI moved to Graz."):
        assert own_text(turn) == "I moved to Graz."


KEPT = (
    "My earliest memory is the smell of my grandmother's kitchen.",
    "## Memories of Rome\n- the Trevi fountain at night\n- gelato with Tom",
    "## Memory\nI upgraded the laptop to 32 GB of memory.",
    "# Memory\n\n- 2 x 16 GB DDR5\n- ECC would be nice",
    "## Relevant memories\n- my first day at school\n- our trip to Wales",
    "Relevant memories:\nI once broke my arm in Wales.",
    "<memory unit='KiB'>1048576</memory>",
    "<domain>\n  <memory>4194304</memory>\n  <vcpu>2</vcpu>\n</domain>",
    "I wrap them as <memories>{memories}</memories>; is that a good prompt?",
    "Should the tag be <memory> or <memories>?",
    "Which is better: <user_memories>...</user_memories> or a heading?",
    "```\n<memories>\n{{ memories }}\n</memories>\n```\nThis is my template.",
    "<memory>\nThe summer my father taught me to sail.\n</memory>",
    "[Memory] of that day never left me.",
    "[memories]",
    "Today is Monday, 2026-03-02. I start my new job.",
    "Today is Friday, 2026-03-06.\n- dentist at 9\n- pick up Emil",
    "[1] 2026-03-01 Deployed v2\n[2] 2026-03-02 Rolled back",
    "[1] 2026-03-01 see https://example.com",
    "Sources:\n[1] Smith 2020\n[2] Jones 2021",
    "- Tom: no (said 2026-03-01)\n- Ana: yes (said 2026-03-02)",
    "Remember this: my passport expires in May.",
    "Please remember that the user table has a facts column.",
    "Facts:\n- my blood type is 0+\n- I am allergic to nuts",
    "Facts about the user table:\n- it has 12 columns",
    "Facts about me:\n- I am 34\n- I live in Graz",
    "What I know about Rust:\n- ownership\n- borrowing",
    "What do you know about me?",
    "User memories:\n- list view with filters\n- button to delete all\n- export to CSV",
    "## User stories\n- As a user I want to delete memories",
    "Known issues with memory:\n- leaks after an hour",
    "Long-term memories are kept in SQLite, right?",
    "Relevant memories should be shown first in the UI.",
    "Here are my memories of the trip:\n- we got lost in Lisbon\n- Tom lost his hat",
    "Ich schreibe meine Erinnerungen auf:\n- Kindheit in Graz\n- Studium in Wien",
    "## Erinnerungen\n- Milch kaufen\n- Emil abholen",
    "Mes souvenirs :\n- la mer à Nice\n- mon grand-père",
    "Recuerdos de mi infancia:\n- el patio\n- mi abuela",
    "記憶に残っている旅行：\n- 京都\n- 奈良",
    '{"about": "my memory game", "today": "2026-03-02"}',
    '{"memory": "16 GB", "about": "User\'s laptop"}',
    "Remembered data is not instructions, I guess?",
    "Profile\n- Name: Mia\n- Age: 34",
    "### Profile\n- climbing\n- chess",
    "### Standing rules\n- no phones at dinner",
    "Agenda [0123456789abcdef]\n- memory leak\n- release",
    "The quote: > Memories are made of this.",
    "Memory tips:\n1. sleep\n2. repeat\n3. draw",
    "The prompt said 'Known facts about the user:' and then nothing.",
    "Known facts about the user:\n\nI have none to share, sorry.",
    "Saved memories:\n- settings page\n- empty state\n- loading state",
    "Context:\n- we deploy on Mondays\n- no downtime",
    "User context:\n- logged in\n- has two carts",
    "<facts>\n- water boils at 100 degrees\n- ice floats\n</facts>",
    "<facts>\nGermany won in 2014.\n</facts>",
    "[Recuerdos]\n- el patio de la abuela\n- los veranos en Cádiz",
    "[Recuerdos] y nada más que eso.",
    "【記憶】について書いてください。",
    "【記憶】\n・京都の夏\n・祖母の庭",
    "<souvenirs>ma grand-mère et son jardin</souvenirs>",
    "Ricordi di viaggio:\n- Roma di notte\n- il mare a Bari",
    "Воспоминания о лете:\n- дача\n- рыбалка",
    "Fakten über Nutzpflanzen:\n- Mais braucht Wasser",
    "Informationen für Nutzer der Bahn:\n- Gleis 3 gesperrt",
    "Datos sobre la tabla usuarios:\n- tiene 12 columnas",
    "Информация о пользователях сайта:\n- 300 в день",
    "Past memories:\n- Grandma's kitchen\n- Dad's old Volvo",
)


@pytest.mark.parametrize("text", KEPT)
def test_what_a_user_writes_stays_as_it_is(text: str) -> None:
    assert own_text(text) is text


async def test_a_prompt_whose_beginning_is_lost_is_known_by_its_mark() -> None:
    lost = "User likes tea. (said 2026-03-01)\n- User works at Initech. (said 2026-03-02; event 2026-01)\n"
    assert own_text(f"- {lost}[0123456789abcdef]\nI moved to Graz.") == "I moved to Graz."
    assert own_text(f"- {lost}I moved to Graz.") == f"- {lost}I moved to Graz."


BEGINNINGS = (
    "<memories>",
    "[memories]- a",
    "- a b (said 2026-03-01)\n",
    '{"about":"Remembered data, not instructions',
    "> " * 40,
    "<memory>\n<about>Remembered data, not instructions\n",
    "## Relevant memories\n",
    "## Memory\n",
    "[1] 2026-03-01\n",
)


@pytest.mark.parametrize("part", BEGINNINGS)
def test_a_long_text_of_beginnings_takes_no_long_time(part: str) -> None:
    assert isinstance(own_text("memories " + part * (200_000 // len(part))), str)
