"""Kinds of statements that only the user, or who runs the server, may bring into an agent's memory.

They say who may do what, who somebody is, where money or data go, which tool is called, or what the assistant does from
now on. A kind is a meeting of concepts in one sentence (`concepts`), in any language, or a shape (`shapes`), never a
word alone: facts and wishes of daily life have one of the concepts at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Literal, get_args

from memhost.extraction.screening.injection import takes_over, takes_over_in
from memhost.extraction.screening.obfuscation import decoded_parts, plain_text
from memhost.extraction.screening.sensitive import shapes
from memhost.extraction.screening.sensitive.concepts import (
    LONGEST_PART,
    Sentence,
    concepts_in,
    perhaps_in,
    sentences,
)

Kind = Literal["rights", "identity", "payments", "addresses", "tools", "instruction"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_WINDOW, _OVERLAP = 16_384, 512
_FEW_WORDS = 3
_SHORT, _REMEMBERED = 1_000, 1_024
"""Characters of a text whose kinds are remembered, and number of such texts: one write asks for a text repeatedly."""
_TAG, _REMEMBERED_TAGS = 40, 16_384
"""The same of tags, which come again and again: 3 MB at most."""


def kinds_of(text: str) -> frozenset[Kind]:
    """Tell which sensitive kinds of statements a text has; none if it is harmless. Time in proportion to its length."""
    if len(text) <= _TAG:
        return _kinds_of_tag(text)
    return _kinds_of_short(text) if len(text) <= _SHORT else _kinds_of(text)


@lru_cache(_REMEMBERED_TAGS)
def _kinds_of_tag(text: str) -> frozenset[Kind]:
    return _kinds_of(text)


@lru_cache(_REMEMBERED)
def _kinds_of_short(text: str) -> frozenset[Kind]:
    return _kinds_of(text)


def _kinds_of(text: str) -> frozenset[Kind]:
    if len(text) <= _WINDOW:  # nearly every text: what is needed twice is made once
        shown, hidden = plain_text(text), [said for _, _, said in decoded_parts(text)]
        found = _of_window(text, shown, hidden)
        over = takes_over_in(text, shown, hidden)
    else:
        found = set()
        for part in _windows(text):
            found |= _of_window(part, plain_text(part), [said for _, _, said in decoded_parts(part)])
        over = takes_over(text)
    if over:
        found.add("instruction")
    return frozenset(found)


def _windows(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _WINDOW:
        yield text[start : start + _WINDOW]
        start += _WINDOW - _OVERLAP
    yield text[start:]


def _joined(text: str) -> str:
    """The text with lines that are parts of a sentence in one line, as its readers get them.

    A line goes on where the next one begins with a small letter, or one of the two has three words at most, and none of
    them is an entry (`Approved: budget`).
    """
    lines = text.split("\n")
    joined = [lines[0]]
    for before, line in pairwise(lines):
        begins = line.lstrip()[:1]
        entry = ": " in before.rstrip() or ": " in line.rstrip()
        short = not entry and min(len(before.split()), len(line.split())) <= _FEW_WORDS
        goes_on = bool(begins) and before.strip() and (begins.islower() or short)
        joined.append((" " if goes_on else "\n") + line)
    return "".join(joined)


def _of_window(text: str, shown: str, hidden: Sequence[str]) -> set[Kind]:
    """The kinds of a text, of which the plain text is shown, and whose decoded parts say what is hidden."""
    found: set[Kind] = set()
    if shapes.leaves_its_place(shown) or shapes.is_disguised(text):
        found.add("instruction")
    if any(len(said.split()) > 2 for said in hidden):
        found.add("instruction")
    prose = "\n".join([line for line in text.split("\n") if not shapes.is_code(line)])
    if shapes.has_command(prose):
        found.add("tools")
    if shapes.has_keys(prose):
        found.add("rights")
    if shapes.takes_data_along(prose):
        found.add("addresses")
    if shapes.has_account(prose):
        found.add("payments")
    # Of most texts the plain form is but the small letters, and then that of each sentence is as well.
    as_it_is = text.isascii() and "\n" not in text and shown == text.lower()
    if as_it_is and len(prose) <= LONGEST_PART:
        low = prose.lower()
        if not _worth_asking(perhaps_in(low)) or not _worth_asking(concepts_in(low)):
            return found
    for sentence in sentences(_joined(prose), as_it_is=as_it_is):
        if rules := _worth_asking(frozenset(sentence.places)):
            shape = _Shape(sentence.text)
            found |= {kind for kind, told in rules if kind not in found and told(sentence, shape)}
    return found


@lru_cache(_REMEMBERED)
def _worth_asking(concepts: frozenset[str]) -> tuple[tuple[Kind, Rule], ...]:
    """The rules that may hold in a sentence with these concepts: those of which a needed one stands in it."""
    return tuple((kind, told) for kind, told, needed in _RULES if not concepts.isdisjoint(needed))


class _Shape:
    """The shapes of a sentence; each looked for once, and only if it is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def address(self) -> bool:
        return shapes.has_address(self._text)

    @cached_property
    def mail(self) -> bool:
        return shapes.has_mail(self._text)

    @cached_property
    def account(self) -> bool:
        return shapes.has_number_of_account(self._text)

    @cached_property
    def phone(self) -> bool:
        return shapes.has_phone(self._text)

    @cached_property
    def call(self) -> bool:
        return shapes.has_call(self._text)


Rule = Callable[[Sentence, _Shape], bool]


def _unasked(s: Sentence) -> bool:
    """Tell whether nobody is asked: "without confirmation", "no need to check", "confirmations: off"."""
    return s.has("unasked") or s.near("without", "check", 3.5)


def _wishes_for_form(s: Sentence) -> bool:
    """Tell whether it says how the user likes answers: "User prefers short answers"."""
    return s.has("wish", "form") and not s.any("secrecy", "pay", "account")


def _rights_unasked(s: Sentence, _: _Shape) -> bool:
    if not _unasked(s):
        return False
    return s.any("act", "pay", "bill", "send", "delete", "permit", "policy", "admin") or (
        s.has("user") and s.begins("without", 1) and not s.begins("user", 1)
    )


def _rights_permit(s: Sentence, _: _Shape) -> bool:
    if s.near("permit", "pay", 6) or s.near("permit", "delete", 5):
        return True
    if s.near("agent", "permit", 4) and s.any("act", "send", "pay"):
        return True
    return s.any("user", "assistant") and (s.near("permit", "send", 5) or s.near("permit", "admin", 5))


def _rights_admin(s: Sentence, _: _Shape) -> bool:
    if s.has("admin") and s.length <= 1:  # nothing but the name of a role: the value of some key
        return True
    return s.near("admin", "rights", 3) and s.any("user", "assistant", "agent", "you", "permit", "always")


def _rights_total(s: Sentence, _: _Shape) -> bool:
    if s.near("user", "admin", 4) and s.near("admin", "system", 3):
        return True
    return s.has("total") and s.any("user", "assistant", "agent", "admin", "permit", "behalf")


def _rights_obey(s: Sentence, _: _Shape) -> bool:
    return s.has("obey") and s.any("user", "assistant", "agent", "policy", "data", "you")


def _rights_lifted(s: Sentence, _: _Shape) -> bool:
    return s.near("rights", "lifted", 5) and s.any("user", "assistant", "pay", "behalf", "permit", "admin")


def _rights_protocol(s: Sentence, _: _Shape) -> bool:
    return s.has("policy", "pay") and s.any("when", "always")


def _identity(s: Sentence, _: _Shape) -> bool:
    if s.has("aside"):
        return False
    return s.near("idword", "trusted", 4) or (
        s.has("identity") and s.any("user", "assistant", "agent", "you", "trusted", "changed", "account")
    )


def _behalf(s: Sentence, _: _Shape) -> bool:
    return s.has("behalf") and s.any(
        "user", "assistant", "agent", "permit", "pay", "changed", "always", "may", "lifted"
    )


def _same_as_user(s: Sentence, _: _Shape) -> bool:
    return s.has("trusted", "user") and s.any("policy", "data", "answer")


def _payments_account(s: Sentence, shape: _Shape) -> bool:
    return s.has("account") and shape.account


def _payments_changed(s: Sentence, shape: _Shape) -> bool:
    return (s.has("pay") and shape.phone) or (s.any("pay", "bill") and s.near("account", "changed", 6))


def _payments_go(s: Sentence, shape: _Shape) -> bool:
    return s.has("pay") and (s.has("secrecy") or (s.any("permit", "send", "changed") and shape.account))


def _bills_go(s: Sentence, _: _Shape) -> bool:
    return s.near("bill", "send", 4) and s.any("account", "always", "changed")


def _addresses(s: Sentence, shape: _Shape) -> bool:
    if not s.has("send"):
        return False
    if s.begins("user"):
        told = s.any("always", "changed")
    else:
        told = (
            s.begins("send")
            or s.any("always", "assistant", "agent", "user", "must", "when")
            or any(s.near("send", what, 6) for what in ("data", "bill", "secret", "changed"))
        )
    return (told and shape.address) or (not s.begins("user") and shape.mail)


def _delivery(s: Sentence, _: _Shape) -> bool:
    return s.near("delivery", "changed", 8)


def _goes_outside(s: Sentence, _: _Shape) -> bool:
    return s.near("send", "outside", 4) and s.any("always", "must", "data", "secret")


def _secrets_go(s: Sentence, _: _Shape) -> bool:
    return s.near("secret", "send", 6) or (s.has("must") and s.near("secret", "send", 9))


def _trusts_address(s: Sentence, shape: _Shape) -> bool:
    return s.has("trusted") and shape.address


def _tools(s: Sentence, shape: _Shape) -> bool:
    return s.any("act", "always", "assistant", "agent", "without", "must") and shape.call


def _assistant_does(s: Sentence, _: _Shape) -> bool:
    if _wishes_for_form(s):
        return False
    if s.has("assistants"):
        return s.any("must", "send", "pay", "act", "answer", "secrecy", "trusted", "delete", "say")
    does = s.any("answer", "say", "act", "send", "pay", "secrecy", "delete")
    if s.near("assistant", "must", 3):
        return True
    if s.has("assistant"):
        return (does and s.any("must", "always", "permit", "behalf", "secrecy", "may")) or s.any("admin")
    return s.has("agent") and s.any("must", "always", "permit") and s.any("user", "answer", "pay", "secrecy", "delete")


def _answers(s: Sentence, shape: _Shape) -> bool:
    if _wishes_for_form(s):
        return False
    return (
        s.near("always", "answer", 4.5)
        or s.near("answer", "first", 4)
        or s.near("answer", "secrecy", 3)
        or s.near("answer", "closes", 4)
        or (s.has("answer") and s.near("not", "mention", 3))
        or (s.has("answer") and s.any("say", "place", "always") and shape.address)
    )


def _omits(s: Sentence, _: _Shape) -> bool:
    return any(s.near("omit", what, 5) for what in ("summary", "answer", "mention"))


def _secrecy(s: Sentence, _: _Shape) -> bool:
    if s.begins("say", 1) and s.has("user") and s.near("say", "not", 5):
        return True
    return s.has("secrecy") and s.any("user", "assistant", "pay", "delete", "send")


def _trigger(s: Sentence, _: _Shape) -> bool:
    if s.near("when", "word", 5) and s.any(
        "send", "pay", "act", "delete", "answer", "secret", "trusted", "bill", "rights"
    ):
        return True
    return (
        s.begins("when", 1)
        and s.near("when", "asked", 4)
        and s.any("answer", "say", "send", "secret", "secrecy", "pay")
    )


def _promotes(s: Sentence, _: _Shape) -> bool:
    return s.near("first", "trusted", 3) and s.has("user")


def _one_of(concepts: str) -> frozenset[str]:
    return frozenset(concepts.split())


_RULES: tuple[tuple[Kind, Rule, frozenset[str]], ...] = (
    ("rights", _rights_unasked, _one_of("unasked without")),
    ("rights", _rights_permit, _one_of("permit")),
    ("rights", _rights_admin, _one_of("admin")),
    ("rights", _rights_lifted, _one_of("lifted")),
    ("rights", _rights_total, _one_of("admin total")),
    ("rights", _rights_obey, _one_of("obey")),
    ("rights", _rights_protocol, _one_of("policy")),
    ("identity", _identity, _one_of("trusted identity")),
    ("identity", _behalf, _one_of("behalf")),
    ("identity", _same_as_user, _one_of("trusted")),
    ("payments", _payments_account, _one_of("account")),
    ("payments", _payments_changed, _one_of("pay bill")),
    ("payments", _payments_go, _one_of("pay")),
    ("addresses", _bills_go, _one_of("bill")),
    ("addresses", _addresses, _one_of("send")),
    ("addresses", _secrets_go, _one_of("secret")),
    ("addresses", _delivery, _one_of("delivery")),
    ("addresses", _goes_outside, _one_of("outside")),
    ("addresses", _trusts_address, _one_of("trusted")),
    ("tools", _tools, _one_of("act always assistant agent without must")),
    ("instruction", _assistant_does, _one_of("assistants assistant agent")),
    ("instruction", _answers, _one_of("answer")),
    ("instruction", _secrecy, _one_of("say secrecy")),
    ("instruction", _omits, _one_of("omit")),
    ("instruction", _trigger, _one_of("when")),
    ("instruction", _promotes, _one_of("trusted")),
)
"""The rules that tell a kind, and concepts: each sentence in which a rule holds has one of its concepts at least."""
