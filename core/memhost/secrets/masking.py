"""Masks secrets: in texts, and in whatever texts are in. Equal secrets get equal masks, and a mask stays what it is."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import inspect

from memhost.secrets.detector import MASKS, Extra, Secret, find_secrets
from memhost.secrets.named import is_secret_of

T = TypeVar("T")

Policy = Literal["mask", "refuse", "keep"]
Where = tuple[str | int, ...]

MASK = "[secret]"
"""The mask of a secret where there is no key."""
_SIGNS = 6
_ROUNDS = 4
_PLACES = 100
_REMEMBERED = 50_000
_SHORT = 6
"""Letters of the shortest text that may hold a secret."""

IDS = frozenset(
    (
        "id",
        "session_id",
        "user_id",
        "namespace",
        "memory_id",
        "memory_ids",
        "view_id",
        "task_id",
        "job_id",
        "token_id",
        "tenant",
        "extracted_from",
        "source_ids",
        "superseded_by",
        "memory_hash",
        "extractor",
        "users",
        "namespaces",
    )
)
"""Fields of structs that name things. An id cannot be masked: nobody would find again what it names."""


def is_masked(text: str) -> bool:
    """Tell whether a text holds a mask."""
    return MASKS.search(text) is not None


def mask_secrets(text: str) -> tuple[str, bool]:
    """The text with secrets masked by `[secret]`, and whether there were any."""
    masked = _UNKEYED.text(text)
    return masked, masked != text


class Findings(msgspec.Struct, kw_only=True):
    """The secrets that were found in a value.

    Attributes:
        count: How many.
        places: Path and kind of each, at most a hundred.
        ids: The same of those in ids, which stay as they are.
    """

    count: int = 0
    places: list[tuple[Where, str]] = []
    ids: list[tuple[Where, str]] = []


class Masker:
    """Finds secrets and puts a mask in the place of each.

    A mask is `[secret:af9c2a]`: six signs of a keyed digest of the secret. Whoever has no key cannot find out what it
    stands for, and equal secrets are seen as equal. A masked text that is masked again stays as it is.

    Args:
        key: Key of the digests; without one all masks are `[secret]`.
        policy: What becomes of secrets: `mask`, `refuse` or `keep`.
        extras: Further kinds of secrets to find.
    """

    def __init__(
        self, key: bytes | None = None, policy: Policy = "mask", extras: frozenset[Extra] = frozenset()
    ) -> None:
        self._key = key
        self._extras = extras
        self.policy = policy
        self._clean: set[tuple[int, int]] = set()

    def by(self, policy: Policy) -> Masker:
        """The same with another policy."""
        return Masker(self._key, policy, self._extras)

    def mask_of(self, secret: str) -> str:
        """The mask of a secret."""
        if self._key is None:
            return MASK
        digest = hmac.digest(self._key, secret.encode(errors="surrogatepass"), "sha256")
        first = "abcdef"[digest[-1] % 6]  # what begins with a digit may be taken for a number that somebody said
        return f"[secret:{first}{digest.hex()[: _SIGNS - 1]}]"

    def text(self, text: str) -> str:
        """The text with its secrets masked, whatever the policy but `keep`."""
        return text if self.policy == "keep" else self._text(text, (), None)

    def value(self, value: T, findings: Findings | None = None, where: Where = ()) -> T:
        """The value with the secrets in its texts masked; the very same if there are none, or by the policy `keep`.

        Args:
            value: A text; or a list, a dict or a struct, of which the keys and the texts at any depth count.
            findings: Takes up what was found.
            where: Path of the value.
        """
        masked: T = value if self.policy == "keep" else self._value(value, where, findings)
        return masked

    def _value(self, value: Any, where: Where, findings: Findings | None) -> Any:
        if isinstance(value, str):
            return self._text(value, where, findings)
        if isinstance(value, msgspec.Struct):
            return self._struct(value, where, findings)
        if isinstance(value, dict):
            return self._dict(value, where, findings)
        if isinstance(value, (list, tuple)):
            if all(type(item) is str and self._is_known(item) for item in value):
                return value
            items = [self._value(item, (*where, place), findings) for place, item in enumerate(value)]
            return value if all(map(_same, items, value)) else type(value)(items)
        return value

    def _struct(self, value: Any, where: Where, findings: Findings | None) -> Any:
        kind: Any = type(value)
        names, ids, of = _fields(kind)
        changed = {}
        clean = self._clean
        for name, old in zip(names, of(value), strict=True):
            if not old or old is msgspec.UNSET:
                continue
            if type(old) is str and (len(old) < _SHORT or (hash(old), len(old)) in clean):
                continue  # as most of them (`_is_known`): no path is made
            if name in ids:
                if findings is not None:
                    self._id(old, (*where, name), findings)
            elif (new := self._value(old, (*where, name), findings)) is not old:
                changed[name] = new
        return msgspec.structs.replace(value, **changed) if changed else value

    def _dict(self, value: Mapping[Any, Any], where: Where, findings: Findings | None) -> Any:
        masked = {}
        changed = False
        for key, item in value.items():
            name = self._text(key, where, findings) if isinstance(key, str) else key
            place = (*where, name)
            new = self._value(item, place, findings)
            if new is item and isinstance(key, str) and isinstance(item, str) and is_secret_of(key, item):
                _note(findings, place, "password")
                new = self.mask_of(item)
            changed = changed or new is not item or name is not key
            masked[name] = new
        if "memory_hash" in masked and masked.get("text") is not value.get("text"):
            masked["memory_hash"] = None  # of a memory as documents hold it: the digest of the former text
        return masked if changed else value

    def _id(self, value: Any, where: Where, findings: Findings) -> None:
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, str) and not self._is_known(item):
                findings.ids += [(where, found.kind) for found in self._found(item) if found.kind not in _MAY_BE_IDS]

    def _text(self, text: str, where: Where, findings: Findings | None) -> str:
        found = self._found(text)
        if not found:
            return text
        for _ in range(_ROUNDS):
            parts, last = [], 0
            for secret in found:
                parts += [text[last : secret.start], self.mask_of(secret.value)]
                last = secret.end
                _note(findings, where, secret.kind)
            text = "".join([*parts, text[last:]])
            if not (found := self._found(text)):
                break
        return text

    def _is_known(self, text: str) -> bool:
        """Tell whether a text is known to hold no secret, without looking through it."""
        return len(text) < _SHORT or (hash(text), len(text)) in self._clean

    def _found(self, text: str) -> list[Secret]:
        """The secrets of a text; most texts come again and again and hold none, which is remembered."""
        if self._is_known(text):
            return []
        found = find_secrets(text, self._extras)
        if not found:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add((hash(text), len(text)))
        return found


_MAY_BE_IDS = frozenset({"card number", "iban", "national id"})
"""Kinds that a number may look like by chance."""


def _note(findings: Findings | None, where: Where, kind: str) -> None:
    if findings is not None:
        findings.count += 1
        if len(findings.places) < _PLACES:
            findings.places.append((where, kind))


def _same(one: Any, other: Any) -> bool:
    return one is other


def texts_of(value: msgspec.Struct) -> tuple[Any, ...]:
    """The values of the fields of a struct that may hold texts."""
    kind: Any = type(value)
    values: tuple[Any, ...] = _fields(kind)[2](value)
    return values


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[tuple[str, ...], frozenset[str], Any]:
    """The fields of a struct that may hold texts, those among them that are ids, and what reads all of them."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    names = tuple(field.name for field in kind.fields if _may_hold_text(field.type))
    if len(names) > 1:
        return names, IDS & frozenset(names), attrgetter(*names)
    return names, IDS & frozenset(names), lambda value: tuple(getattr(value, name) for name in names)


def _may_hold_text(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _may_hold_text(kind.type)
    if isinstance(kind, inspect.UnionType):
        return any(map(_may_hold_text, kind.types))
    return not isinstance(
        kind,
        (
            inspect.IntType,
            inspect.FloatType,
            inspect.BoolType,
            inspect.NoneType,
            inspect.DateTimeType,
            inspect.EnumType,
            inspect.LiteralType,
            inspect.BytesType,
        ),
    )


_UNKEYED = Masker()
