"""Japanese questions find memories by words of one character, and say so where none fits."""

from __future__ import annotations

from pathlib import Path

from tests.support.hosts import run, running_host

TEXTS = {
    "cats": "姉は京都で猫二匹と暮らしています",
    "pills": "医者は青い錠剤を2.5mg処方しました",
    "keys": "バスで鍵をなくしました",
}
ASKED = {"姉の猫はどこにいますか": "cats", "鍵はどこ？": "keys", "医者は何を処方しましたか": "pills"}
OTHERS = ("犬の写真", "庭の桜", "船が沈む", "妹の夫", "雪と氷", "馬が走る")


async def test_questions_find_words_of_one_character(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": name, "text": text} for name, text in TEXTS.items()])
        for mode in ({}, {"search_mode": "keyword"}):
            for text, first in ASKED.items():
                found = await run(host, "search_memories", text=text, **mode)
                assert found.memories[0].id == first, (text, mode)
                assert found.nothing_fits is not True
        for text in OTHERS:
            assert (await run(host, "search_memories", text=text)).nothing_fits is True, text
            assert not (await run(host, "search_memories", text=text, search_mode="keyword")).memories, text
