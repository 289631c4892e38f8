"""The static model's tokens equal those of the library that it was distilled with."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice

import pytest
from tokenizers import Tokenizer
from tools.character_table import placed

from memhost_model_static.embedder import MAX_TOKENS, WEIGHTS
from memhost_model_static.tokens import Tokens

SURROGATES = range(0xD800, 0xE000)
SCRIPTS = (
    range(0x20, 0x7F),
    range(0xA0, 0x250),  # Latin
    range(0x300, 0x370),  # accents that stand alone
    range(0x370, 0x600),  # Greek, Cyrillic, Armenian, Hebrew
    range(0x600, 0x900),  # Arabic
    range(0x900, 0x1100),  # Devanagari to Burmese
    range(0x1100, 0x1200),  # Korean letters
    range(0x1E00, 0x2000),
    range(0x2000, 0x2C00),  # punctuation, signs
    range(0x3000, 0x3400),  # Japanese
    range(0x4E00, 0x5000),  # Chinese
    range(0xAC00, 0xAD00),  # Korean syllables
    range(0xF900, 0x10000),  # forms for compatibility
    range(0x10000, 0x10200),
    range(0x1D100, 0x1D200),  # musical signs, some of which combine
    range(0x1F300, 0x1FB00),  # emoji
    range(0xE0000, 0xE0100),  # tags
    (*range(32), 0x85, 0xAD, 0x200B, 0x200D, 0x2028, 0xFE0F, 0xFEFF, 0xFFFD),
)
TEXTS = (
    "",
    " ",
    "Mia gets nervous before dentist appointments, doesn't she?",
    "Übermäßig naïve Cafés — ¿qué tal, señor? €4.50 (10 %)",
    "ΑΣ ΟΔΟΣ ΣΑΣ; Москва и Ёлка; İstanbul ı I; ǅ ﬁ ﬀ ß ẞ",
    "東京でＡＢＣを買った。한국어 텍스트 हिन्दी עברית العربية ไทย",
    "e\u0301 é \u1e9b\u0323 a\u0315\u0300\u05ae\u0301b",
    "👩‍👩‍👧 🇩🇪 ☕️ 1️⃣ zero\u200bwidth soft\u00adhyphen nul\x00tab\tline\nend\x85x\u2028y",
    "[PAD] x[UNK]y [pad] [UNK [PAD][PAD] [ PAD ] [CLS]",
    "a" * 100 + " " + "a" * 101 + " dog",
    "cat " * (MAX_TOKENS + 100),
    "日" * 9000,
    ("x" * 91 + " ") * 200,  # words across the borders of stretches
    "w" * 8150 + " " + "y" * 100 + " ok",
    "w" * 8150 + " " + "y" * 101 + " ok",
    "é" * 8191 + "e\u0301 z",
    "x" * 30_000 + " b",
)

Both = tuple[Tokenizer, Tokens]


@pytest.fixture(scope="module")
def both() -> Both:
    library = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    library.no_padding()
    library.enable_truncation(MAX_TOKENS)
    return library, Tokens(WEIGHTS)


def differences(both: Both, texts: Iterable[str]) -> list[str]:
    """The texts whose tokens differ, as far as one wants to see them."""
    library, own = both
    found = (
        ascii(text[:200])
        for text in texts
        if list(library.encode(text, add_special_tokens=False).ids) != own.ids(text, MAX_TOKENS)
    )
    return list(islice(found, 10))


def around(codes: Sequence[int]) -> Iterable[str]:
    """Each character inside a word and beside one."""
    for code in codes:
        if code not in SURROGATES:
            yield f"cat{chr(code)}mat {chr(code)}"


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts(both: Both, text: str) -> None:
    assert not differences(both, [text])


def test_random_texts_of_all_scripts(both: Both) -> None:
    dice = random.Random(11)

    def text() -> str:
        scripts = (SCRIPTS[0], *dice.choices(SCRIPTS, k=3))
        return "".join(chr(dice.choice(dice.choice(scripts))) for _ in range(dice.randrange(1, 80)))

    assert not differences(both, (text() for _ in range(4000)))


def test_a_share_of_all_characters(both: Both) -> None:
    assert not differences(both, around([*range(0x600), *range(0x600, 0x30000, 61)]))


@pytest.mark.full("asks about a million characters; a share of them is asked for above")
@pytest.mark.timeout(600)
def test_every_character(both: Both) -> None:
    assert not differences(both, around(range(0x110000)))


def test_letters_are_those_that_the_library_gives_a_token(both: Both) -> None:
    library, own = both
    words = [
        "dentist",
        "unbelievably",
        "zzyzx",
        "Übermäßig",
        "naïve",
        "한국어",
        "東",
        "Привет",
        "नमस्ते",
        "x1",
        "don't",
        "café",
    ]
    for word in words:
        encoding = library.encode(word, add_special_tokens=False)
        sizes = [end - begin for begin, end in encoding.offsets]
        assert [own.letters(token) for token in encoding.ids if token != own.unknown] == [
            size for size, token in zip(sizes, encoding.ids, strict=True) if token != own.unknown
        ], word


def test_a_lone_surrogate_is_unknown_and_no_error(both: Both) -> None:
    own = both[1]
    assert own.ids("cat \ud800", 10) == [*own.ids("cat", 10), own.unknown]


def test_what_is_kept_of_words_and_characters_is_bounded() -> None:
    own = Tokens(WEIGHTS)
    for start in range(0, 0x20000, 50):
        own.ids(" ".join(f"w{chr(code)}" for code in range(start, start + 50) if code not in SURROGATES), 10**6)
    own.ids(" ".join(f"word{n}" for n in range(30_000)), 10**6)
    assert len(own._words) <= 20_000
    assert len(own._characters) < 30_000


def test_the_table_is_the_librarys() -> None:
    kept = json.loads((WEIGHTS / "characters.json").read_text(encoding="utf-8"))
    library = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    for form in ("dropped", "spaces", "alone"):
        for first, last in kept[form][:200]:
            for code in {first, last}:
                became = "".join(placed(library, each) for each in library.normalizer.normalize_str(chr(code)))
                assert became.split() == ([chr(code)] if form == "alone" else []), hex(code)
                assert (became == "") == (form == "dropped"), hex(code)


def test_names_of_special_tokens_are_those_of_the_model() -> None:
    added = re.findall(r'"content":"(\[\w+\])"', (WEIGHTS / "tokenizer.json").read_text(encoding="utf-8"))
    assert added == ["[PAD]", "[UNK]"]


def test_of_words_that_are_too_long_nothing_is_kept() -> None:
    tokens = Tokens(WEIGHTS)
    words = ["tea", "a" * 100, "b" * 101, "c" * 5000]
    assert tokens.ids(" ".join(words), MAX_TOKENS)[-2:] == [tokens.unknown] * 2
    assert [word in tokens._words for word in words] == [True, True, False, False]
