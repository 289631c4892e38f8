"""Counting tokens for a budget: exact where the tokenizer is here, else never too few."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memhost.messages import token_budgets
from memhost.messages.token_budgets import count_for, counter_for, most_tokens, remembering, upper_bound

FOLDER = Path((importlib.util.find_spec("litellm").submodule_search_locations or [""])[0]) / "litellm_core_utils"  # type: ignore[union-attr]
CHAT = "Evan: I went on a trip to the Rockies with my family last week, and we hiked the trails. It was so beautiful!"
TEXTS = {
    "chat": CHAT,
    "german": "Die Bürgermeisterwahl findet im kommenden Herbst statt, sagte die Sprecherin der Stadt gestern.",
    "turkish": "Çekoslovakyalılaştıramadıklarımızdan mısınız, diye sordu öğretmen gülümseyerek öğrencilerine.",
    "russian": "Моя кошка любит рыбу, а брат работает врачом в областной больнице.",
    "chinese": "我们在公园里看见了很多花和树木，树上有一只鸟。",
    "arabic": "ذهبت مع عائلتي إلى الجبال في الأسبوع الماضي وكانت الرحلة جميلة جدا.",
    "hindi": "मैं पिछले सप्ताह अपने परिवार के साथ पहाड़ों पर गया था।",
    "code": "def f(x: dict[str, int]) -> None:\n    return {k: v**2 for k, v in x.items() if v >= 0x1F}\n",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "emoji": "🍣🍕🥗❤️👨‍👩‍👧🐶🏳️‍🌈",
    "dates": "[1] 2023-05-18 (event 2023-05-20; until 2026-09-01)",
}


def tokenizers() -> list[tuple[str, Callable[[str], int]]]:
    """Real tokenizers on this machine: two of OpenAI, and those that LiteLLM's package holds."""
    found: list[tuple[str, Callable[[str], int]]] = []
    counts = [count_for(model) for model in ("gpt-4", "gpt-4o")]
    found += [(count.encoding, count.count) for count in counts if count.exact]
    for name in ("anthropic_tokenizer.json", "deepseek_tokenizer.json"):
        file = FOLDER / "tokenizers" / name
        if file.is_file():
            from tokenizers import Tokenizer

            found.append((name, counted_by(Tokenizer.from_file(str(file)))))
    return found


def counted_by(tokenizer: Any) -> Callable[[str], int]:
    """Counts the tokens of a text, without those that models add around it."""
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_the_bound_is_never_below_a_real_tokenizer() -> None:
    chance = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyzäöüßéñçğışабвгдежз"
    texts = [*TEXTS.values(), " ".join(TEXTS.values()), CHAT * 20]
    texts += [" ".join(chance.choices(" ".join(TEXTS.values()).split(), k=60)) for _ in range(100)]
    texts += [
        " ".join("".join(chance.choices(letters, k=chance.randint(1, 14))) for _ in range(40)) for _ in range(100)
    ]
    texts += ["".join(chance.choices("!@#$%^&*()_+{}[]|\\:;\"'<>,.?/~`-= \n\t", k=200)) for _ in range(50)]
    counted = tokenizers()
    assert counted
    for name, count in counted:
        assert [text for text in texts if upper_bound(text) < count(text)] == [], name


def test_the_bound_is_not_far_above_for_chats() -> None:
    for name, count in tokenizers():
        assert upper_bound(CHAT * 10) <= 1.6 * count(CHAT * 10), name
    assert upper_bound("") == 0


def test_the_models_own_encoding_counts() -> None:
    if not count_for(None).exact:
        pytest.skip("no file of an encoding on this machine")
    assert count_for(None).encoding == count_for("openai/gpt-4").encoding == "cl100k_base"
    assert count_for("gpt-4o-mini").encoding == "o200k_base"
    import tiktoken

    for text in TEXTS.values():
        assert count_for("gpt-4").count(text) == len(tiktoken.get_encoding("cl100k_base").encode_ordinary(text))


@pytest.mark.parametrize("model", ["claude-sonnet-4", "anthropic/claude-opus-4", "llama3", "mistral/large", "nonsense"])
async def test_models_without_a_known_tokenizer_get_the_bound(model: str) -> None:
    assert not count_for(model).exact
    assert (await counter_for(model)).count(CHAT) == upper_bound(CHAT)


def test_without_the_library_or_its_file_the_bound_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "file"
    damaged.write_bytes(b"not an encoding")
    monkeypatch.setattr(token_budgets, "_files", lambda _name: iter([damaged, tmp_path / "missing"]))
    token_budgets._exact.cache_clear()
    try:
        assert not count_for(None).exact
        assert not count_for("gpt-4o").exact
    finally:
        token_budgets._exact.cache_clear()


def test_very_long_texts_are_bounded_not_encoded() -> None:
    text = "word " * 60_000
    assert count_for(None).count(text) == upper_bound(text)


@pytest.mark.parametrize("name", [*TEXTS, "empty", "words", "surrogates", "signs"])
def test_no_counter_counts_more_than_a_text_has_at_most(name: str) -> None:
    more = {
        "empty": "",
        "words": " ".join(TEXTS.values()) * 3,
        "surrogates": "a\ud800b\udfff",
        "signs": "!?\n \t-_\x00\x7f" * 9,
    }
    text = (TEXTS | more)[name]
    counts = [upper_bound, *(count_for(model).count for model in ("gpt-4", "gpt-4o", None, "claude-sonnet-4"))]
    assert all(count(text) <= most_tokens(text) for count in counts)


def test_a_text_is_counted_once_as_long_as_not_too_many_are_known() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    remembered = remembering(count, most=3)
    texts = ["one", "two", "three", "one", "two ", "\ud800", "one", ""]
    assert [remembered(text) for text in texts] == [len(text) for text in texts]
    assert counted == ["one", "two", "three", "two ", "\ud800", "one", ""]
