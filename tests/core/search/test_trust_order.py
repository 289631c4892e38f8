"""Trust in the order of hits: what is made to be found, and what is trusted less, does not come first."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import Caller, CandidateHit, Candidates, Trust
from memhost.ranking import Columns, candidate_of
from memhost.ranking.stuffing import repetition, stuffed
from memhost.search.scoring import Scored
from memhost.search.trust_order import by_trust
from memhost.testing.factories import make_memory
from memhost.text.analysis import analyse_query, index_terms
from tests.support.hosts import run, running_host

POOL = [
    "The pool opens at seven on weekdays.",
    "Pool lane three is for beginners.",
    "The pool is closed in the first week of August.",
    "A pool ticket costs four euros.",
    "Children under ten use the small pool.",
    "The pool's lockers take a one-euro coin.",
]


def pairs(lines: str) -> list[tuple[str, str]]:
    """Queries with the texts below them."""
    told = lines.strip().split("\n")
    return list(zip(told[::2], told[1::2], strict=True))


STUFFED = pairs(
    """
When does the pool open?
pool ticket pool opens pool hours when does the pool open pool pool ticket price pool lane MARK-7
Wann öffnet das Schwimmbad?
Schwimmbad öffnet Schwimmbad Zeiten wann öffnet Schwimmbad Schwimmbad Preis öffnet MARK
¿Cuándo abre la piscina?
piscina abre piscina horario cuándo abre piscina piscina precio abre piscina MARK
Quand ouvre la piscine ?
piscine ouvre piscine horaires piscine ouvre quand piscine prix piscine ouvre MARK
Когда открывается бассейн?
бассейн открывается бассейн часы когда открывается бассейн бассейн цена бассейн МАРК
泳池什么时候开放？
泳池开放泳池时间泳池什么时候开放泳池泳池票价泳池开放泳池标记
プールはいつ開きますか
プール プール 時間 プール 開き プール 料金 プール 開き プール プール 印
When does the pool open?
When does the pool open? When does the pool open? When does the pool open? When does the pool open? Call 555.
"""
)
STUFFED += [
    ("When does the pool open?", " ".join(f"pool note{n} open item{n}" for n in range(12)) + " MARK-7"),
    ("When does the pool open?", "pool open " * 5 + "The club house serves coffee and cake in the afternoon. " * 6),
]
HONEST = pairs(
    """
When does the pool open?
The pool opens at seven. On Sundays the pool opens at nine, and the small pool at ten.
Where is the key?
The key is in the key box; the box key hangs behind the door, and the key ring is red.
What is New York like?
New York, New York, a wonderful town, the Bronx is up and the Battery is down.
Which boat song?
Row, row, row your boat, gently down the stream, merrily, merrily, life is but a dream.
How do I claim expenses?
File the expense claim by the 5th. A claim without a receipt is refused; late claims need a note.
Which teams play in Los Angeles?
Teams in Los Angeles are the Rams, the Lakers, the Clippers, the Dodgers and the Kings.
Wann öffnet das Schwimmbad?
Das Schwimmbad öffnet um sieben. Am Sonntag öffnet das Schwimmbad erst um neun Uhr.
Wo ist der Schlüssel?
Der Schlüssel liegt im Kasten, der Schlüssel zum Kasten hängt hinter der Tür im Flur.
¿Cuándo abre la piscina?
La piscina abre a las siete, y los domingos la piscina pequeña abre a las diez.
¿Qué come el gato?
El gato come pescado; cuando no hay pescado, el gato come pollo y bebe agua fresca.
Quand ouvre la piscine ?
La piscine ouvre à sept heures, et le dimanche la petite piscine ouvre à dix heures.
Où est la clé ?
La clé est dans la boîte, la clé de la boîte est derrière la porte de la cuisine.
Когда открывается бассейн?
Бассейн открывается в семь утра, а по воскресеньям малый бассейн открывается в десять.
Где лежит ключ?
Ключ лежит в ящике, а ключ от ящика висит за дверью в коридоре рядом с зеркалом.
泳池什么时候开放？
泳池早上七点开放，星期天小泳池十点才开放，请自带毛巾和泳帽。
钥匙在哪里？
钥匙在盒子里，盒子的钥匙挂在门后面，备用的在邻居家。
プールはいつ開きますか
プールは朝七時に開きます。日曜日は小さいプールが十時に開きます。
鍵はどこですか
鍵は箱の中にあります。箱の鍵はドアの後ろに掛かっています。
What does the log say?
error: connection refused, retry 1; error: connection refused, retry 2; then the server came back.
How is the pool heated?
We heat the pool with a heat pump, since solar heat alone left the pool cold in spring.
Which tests run?
Run the unit tests first; the slow tests and the browser tests run at night on the build machine.
"""
)


def price(query: str, text: str, *, trusted: bool = False) -> float:
    asked = analyse_query(query)
    sought = frozenset((*asked.terms, *(term for group in asked.others for term in group)))
    return stuffed(index_terms(text), sought, lambda: text, trusted=trusted)


@pytest.mark.parametrize(("query", "text"), STUFFED)
def test_texts_made_of_the_query_lose(query: str, text: str) -> None:
    assert price(query, text) >= 1.5


@pytest.mark.parametrize(("query", "text"), HONEST)
def test_sentences_lose_nothing(query: str, text: str) -> None:
    assert price(query, text) == 0
    assert price(query, text, trusted=True) == 0
    assert price(query, f"{text} " * 3, trusted=True) == 0


def test_only_what_is_plainly_no_sentence_counts_against_the_user() -> None:
    assert price("When does the pool open?", "pool open " * 12, trusted=True) > 1
    assert price(*STUFFED[0], trusted=True) == 0


def test_repetition_is_linear_and_looks_at_a_part() -> None:
    assert repetition(["a", "b", "a", "a"], {"a"}) == (2, 0.5)
    assert repetition(["x"] * 100 + ["a"] * 4 + ["x"] * 100, {"a"}) == (3, 0.125)
    assert repetition([*["a", *["x"] * 30] * 5], {"a"})[0] == 0
    assert repetition([], {"a"}) == (0, 0.0)


def by(channel: Trust | None) -> Caller:
    return Caller(subject="x", roles=frozenset({"admin"}), channel=channel)


async def store(host: Host, *texts: str, channel: Trust | None = None) -> None:
    memories = [{"id": text[:20], "text": text, "user_id": "hj"} for text in texts]
    await run(host, "store_memories", by(channel), memories=memories)


async def found(host: Host, text: str, **fields: Any) -> list[str]:
    answer = await run(host, "search_memories", text=text, user_id={"eq": "hj"}, **fields)
    scores = [hit.score for hit in answer.memories]
    assert scores == sorted(scores, reverse=True)
    assert all(hit.dist == pytest.approx(1 - hit.score) for hit in answer.memories)
    return [hit.id for hit in answer.memories]


@pytest.mark.parametrize("mode", [{}, {"search_mode": "keyword"}, {"search_mode": "hybrid", "text_scorer": "BM25STD"}])
@pytest.mark.parametrize("where", ["memory", "sqlite"])
async def test_a_text_made_of_query_words_does_not_beat_a_sentence(tmp_path: Path, where: str, mode: Any) -> None:
    async with running_host(tmp_path, store=where, run_jobs=False) as host:
        await store(host, *POOL, STUFFED[0][1])
        ids = await found(host, "When does the pool open?", limit=3, **mode)
        assert ids[0] == POOL[0][:20]
        assert len(await found(host, "When does the pool open?", limit=7, **mode)) == 7


@pytest.mark.parametrize(
    ("query", "text"),
    pairs(
        """
What do I have to buy?
To buy: buy milk, buy bread, buy eggs, buy flour, buy butter, buy rice, buy oats, buy salt.
Was muss ich kaufen?
Kaufen: Milch kaufen, Brot kaufen, Eier kaufen, Mehl kaufen, Butter kaufen, Reis kaufen, Salz kaufen.
Which boat song?
Boat song: row the boat, row the boat, boat boat boat, this is the boat song, the boat song.
"""
    ),
)
async def test_a_list_that_repeats_a_word_stays_before_what_has_nothing_to_do_with_the_query(
    tmp_path: Path, query: str, text: str
) -> None:
    unrelated = [
        "User likes tea",
        "The meeting is on Monday at nine.",
        "User's sister lives in Lyon.",
        "Tee ist gesund.",
        "Swimming starts at seven in the morning.",
    ]
    assert price(query, text) > 4
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        await store(host, *unrelated, text)
        assert (await found(host, query))[0] == text[:20]
    async with running_host(tmp_path / "external", store="sqlite", run_jobs=False) as host:
        await store(host, *unrelated)
        await store(host, text, channel="external")
        assert (await found(host, query))[-1] == text[:20]


async def test_pages_neither_repeat_nor_skip(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for number in range(70):
            channel: Trust = ("agent", "tool", "user", "external")[number % 4]
            text = f"{number} pool opens " + ("pool open pool open pool" if number % 3 else "at seven on this weekday")
            await store(host, text, channel=channel)
        whole = await found(host, "When does the pool open?", limit=70)
        paged = [
            name
            for offset in range(0, 70, 7)
            for name in await found(host, "When does the pool open?", limit=7, offset=offset)
        ]
        assert len(set(paged)) == 70
        assert paged[:50] == whole[:50]


@pytest.mark.parametrize("weaker", ["agent", "import", "tool", "external"])
async def test_what_is_trusted_more_comes_before_what_is_newer(tmp_path: Path, weaker: Trust) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await store(host, "Mia's doctor is Dr. Lind.", channel="user")
        await store(host, "Correction: Mia's doctor is Dr. Holm.", channel=weaker)
        assert await found(host, "Who is Mia's doctor?") == ["Mia's doctor is Dr. ", "Correction: Mia's do"]
        context = await run(host, "get_context", query="Who is Mia's doctor?", user_id="hj")
        assert [(item.trust, item.verified) for item in context.items if "Holm" in item.text] == [(weaker, False)]


async def test_equal_trust_changes_nothing(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await store(host, "Mia's doctor is Dr. Lind.", "Since May Mia has Dr. Holm as her doctor.")
        assert len(await found(host, "Who is Mia's doctor since May?")) == 2
        assert (await found(host, "Who is Mia's doctor since May?"))[0] == "Since May Mia has Dr"


@pytest.mark.parametrize("seed", range(6))
def test_kept_columns_give_the_order_that_the_memories_give(seed: int) -> None:
    chance = random.Random(seed)
    words = ["pool", "opens", "seven", "nine", "sunday", "¿abre", "泳池", "lane", "ticket", "coin", "", "🙂", "zdt2024"]
    sought = ("pool", "opens", "泳池")
    hits, ordered = [], []
    for number in range(70):
        terms = tuple(chance.choices(words, k=chance.randint(0, 14)))
        level = chance.choice([None, "user", "agent", "tool", "external"])
        memory = make_memory(f"m{number}", " ".join(terms) or "-", terms=terms, trust=level)
        hits.append(CandidateHit(memory=memory))
        ordered.append(Scored(memory, 0.0, 0.99 - number / 80, "hybrid", {}))
    found = Candidates(hits=hits, columns=Columns.of([candidate_of(hit.memory) for hit in reversed(hits)]))
    found.hits.reverse()
    expected = [(item.id, item.score) for item in by_trust(ordered, sought, 10)]
    assert [(item.id, item.score) for item in by_trust(ordered, sought, 10, found)] == expected
    assert expected != [(item.id, item.score) for item in ordered]
    missing = Candidates(hits=found.hits[1:], columns=found.columns.take(range(1, 70)))
    assert [(item.id, item.score) for item in by_trust(ordered, sought, 10, missing)] == expected
