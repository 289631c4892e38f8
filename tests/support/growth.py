"""Measures how the work of a function grows with its input: CPU time, doubled until the trend is clear."""

from __future__ import annotations

import gc
import inspect
import pkgutil
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import combinations
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from time import thread_time
from types import FunctionType, ModuleType
from typing import Any

import memhost

Work = Callable[[str], Any]

PLUGINS = Path(memhost.__file__).parents[2] / "plugins"
MOST = 2.5
"""Growth of the work for an input of twice the length that is not proportional any more."""
SIGNS = " \n.,:-'\"<[{(a7\u0301\u3042"
"""Signs that patterns and scanners look for, of several kinds."""
ENDS = ("", "x")
"""What the run of signs ends with: nothing, or something that makes a match fail at its very end."""
_SCREEN = 256
_LEAST_S = 0.001
_LONGEST = 64_000
_PLAIN_S = 0.02
"""Work that takes so long is measured plainly; twice the length once more would only take time."""


Maker = Callable[[int], str]


def hostile(signs: str = SIGNS) -> Iterator[Maker]:
    """Makers of texts of a length: each sign, and each pair, over and over, with and without another end."""
    for unit in (*signs, *map("".join, combinations(signs, 2))):
        for end in ENDS:
            yield partial(_repeated, unit, end)


UNITS = (
    *("a@", "a@b.", "/a", "http://a", "k=", "k: v\n", "A1b2C3d4", "---", "```\n", "[x](", "<a>", "</", "&lt;", '{"a":'),
    *("\\u", "%20", "#", "*", "| ", "!", "?", "\u2026", "\u3002", "\u201ca\u201d", "()", ")", "\t", "\r\n", "0x", "1."),
    *(
        "1,000 ",
        "I said ",
        "Ann: ",
        "am 3. M\u00e4rz ",
        "two hundred ",
        "zwei",
        "\u200b",
        "\u064a\u0648\u0645 ",
        "\ub0a0 ",
    ),
    *("password: ", "-----BEGIN ", "sk-", "eyJ", "DE89 3704 ", "do not ", "user: ", "- a\n", "1) ", "a.b.", "A.", "aA"),
    *("a1", "_", "__a"),
    *("password=", "password=q", "token=A1b", "pw=", "api_key: a", "\u5bc6\u7801\u662f", "--password ", "?token=a&"),
    *("\u4e00\u9f8d", "\uac00\ud7a3", "\u304c\u30ac\u30fc", "\u4e00\u3099", "\u1112\u1161\u11ab"),
)
"""What texts are full of, beside single signs."""


def units() -> Iterator[Maker]:
    """Makers of texts of these, over and over."""
    for unit in UNITS:
        for end in ENDS:
            yield partial(_repeated, unit, end)


def alone(signs: str) -> Iterator[Maker]:
    """Makers of texts of one sign each, with and without another end."""
    for sign in signs:
        for end in ENDS:
            yield partial(_repeated, sign, end)


def signs_of(pattern: re.Pattern[Any], most: int = 24) -> str:
    """Signs that the pattern itself names, the rare ones first."""
    try:
        found = dict.fromkeys(_literals(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)))
    except (re.error, ValueError, RecursionError):
        return ""
    return "".join(sorted(found, key=lambda sign: (sign.isalnum(), sign in SIGNS))[:most])


def _literals(parsed: Any) -> Iterator[str]:
    for op, argument in parsed:
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL"):
            yield chr(argument)
        elif name == "IN":
            yield from _literals([each for each in argument if str(each[0]) == "LITERAL"])
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from _literals(argument[2])
        elif name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
            yield from _literals(argument[-1])
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from _literals(branch)
        elif name == "ATOMIC_GROUP":
            yield from _literals(argument)


def _repeated(unit: str, end: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[: length - len(end)] + end


def after(start: str, signs: str) -> Iterator[Maker]:
    """Makers of texts that begin as a match does, and go on with one sign; or begin so over and over."""
    for sign in signs:
        yield partial(_begun, start, sign)
    yield partial(_repeated, start, "\x00")


def _begun(start: str, sign: str, length: int) -> str:
    return start + sign * (length - len(start) - 1) + "\x00"


class Growth:
    """Looks for inputs whose work grows faster than their length.

    All inputs are tried short; those that cost most are then doubled until their work can be measured. The CPU time of
    the thread counts, the least of several measurements, and whoever seems to grow too fast is measured again: what
    other processes do in the meantime can hide growth, and not make it.
    """

    def __init__(self, makers: Sequence[Maker], *, worst: int = 2, tries: int = 5) -> None:
        self._makers = makers
        self._short = [make(_SCREEN) for make in makers]
        self._worst = worst
        self._tries = tries

    def of(self, work: Work, more: Sequence[Maker] = ()) -> str:
        """The input for which the work grows too fast, in words; empty if there is none."""
        makers = [*self._makers, *more]
        short = [*self._short, *(make(_SCREEN) for make in more)]
        costs = sorted(((_cost(work, text), number) for number, text in enumerate(short)), reverse=True)
        for _, number in costs[: self._worst]:
            if (growth := _growth(work, makers[number], self._tries)) > MOST:
                return f"{makers[number](12)!r}...: {growth:.1f} times the work for twice the length"
        return ""


def _growth(work: Work, make: Maker, tries: int) -> float:
    """Work for an input of twice the length by that for the input: the least of several measurements, and of three
    doublings, because what outgrows a cache of the processor grows more once; or the mean of three at once, where each
    of them falls on a step of the allocator or beside other work. Work that grows with the square of the length grows
    fourfold at each of them, however often it is measured."""
    length = _SCREEN
    while length < _LONGEST and _cost(work, make(length)) < _LEAST_S:
        length *= 4
    least = float("inf")
    for attempt in range(1, tries):
        for times, doublings in ((1, 1), (2, 1), (4, 1), (1, 3)):
            once, more = make(times * length), make(2**doublings * times * length)
            cost = min(_cost(work, once) for _ in range(2 * attempt))
            growth = min(_cost(work, more) for _ in range(attempt)) / max(cost, 1e-9)
            least = min(least, float(growth ** (1 / doublings)))
            if least <= MOST:
                return least
            if cost > _PLAIN_S:
                break
    return least


def _cost(work: Work, text: str) -> float:
    gc.disable()  # a collection looks at all that the process holds
    try:
        begun = thread_time()
        work(text)
        return thread_time() - begun
    finally:
        gc.enable()


# -- what there is to measure ------------------------------------------------------------------------------


def modules() -> list[ModuleType]:
    """All modules of memhost and of the bundled plugins that can be imported here."""
    packages = [memhost, *(import_module(path.parent.name) for path in sorted(PLUGINS.glob("*/*/__init__.py")))]
    found = []
    for package in packages:
        names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
        wanted = [name for name in names if not name.startswith("memhost.testing") and not name.endswith("__main__")]
        found += [package, *map(import_module, wanted)]
    return found


def searching(pattern: re.Pattern[Any], methods: frozenset[str]) -> Work:
    """All that a pattern is asked of a text: from its start where it is only ever asked so, else everywhere."""
    if methods and methods <= {"match", "fullmatch"}:
        asked = [getattr(pattern, name) for name in sorted(methods)]
        return lambda text: [ask(_as(pattern, text)) for ask in asked]
    return lambda text: deque(pattern.finditer(_as(pattern, text)), maxlen=0)


def _as(pattern: re.Pattern[Any], text: str) -> Any:
    return text.encode() if isinstance(pattern.pattern, bytes) else text


def methods_of(name: str) -> frozenset[str]:
    """What the pattern of that name is asked in its module; empty where that cannot be told."""
    module, _, own = name.partition("#")[0].rpartition(".")
    source = inspect.getsource(sys.modules[module])
    asked = frozenset(re.findall(rf"\b{own}\.(\w+)\(", source))
    uses = len(re.findall(rf"\b{own}\b", source)) - 1
    return asked if uses == len(re.findall(rf"\b{own}\.\w+\(", source)) else frozenset()


def patterns() -> dict[str, re.Pattern[Any]]:
    """All compiled patterns that these modules hold, wherever they hold them, by name."""
    seen: dict[re.Pattern[Any], str] = {}
    for module in modules():
        for name, value in list(vars(module).items()):
            if not isinstance(value, (ModuleType, FunctionType)):
                _collect(value, f"{module.__name__}.{name}", seen, 0)
    return {f"{name}#{number}": pattern for number, (pattern, name) in enumerate(seen.items())}


def _collect(value: Any, name: str, seen: dict[re.Pattern[Any], str], depth: int) -> None:
    if isinstance(value, re.Pattern):
        seen.setdefault(value, name)
    elif depth < 5:
        for part in _parts(value):
            _collect(part, name, seen, depth + 1)


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if hasattr(value, "cache_info") and not inspect.signature(value).parameters:
        return [value()]  # made when it is first needed
    kind = value if isinstance(value, type) else type(value)
    if not kind.__module__.startswith("memhost"):
        return []
    if isinstance(value, type):
        return list(vars(value).values())
    names = [*getattr(kind, "__struct_fields__", ()), *getattr(value, "__dict__", ())]
    return [getattr(value, name, None) for name in names]


def beginnings(pattern: re.Pattern[Any]) -> list[str]:
    """What texts that match begin with: each part of one of them, as short as the pattern allows."""
    try:
        text = _example(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    except (re.error, ValueError, RecursionError):
        return []
    return [text[:length] for length in range(1, min(len(text), 16) + 1)]


def _example(parsed: Any) -> str:
    parts = []
    for op, argument in parsed:
        name = str(op)
        if name == "LITERAL":
            parts.append(chr(argument))
        elif name == "IN":
            parts.append(_of_set(argument))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            parts.append(_example(argument[2]) * max(1, argument[0]))
        elif name == "SUBPATTERN":
            parts.append(_example(argument[-1]))
        elif name == "BRANCH":
            parts.append(_example(argument[1][0]))
        elif name == "ATOMIC_GROUP":
            parts.append(_example(argument))
        elif name in ("ANY", "NOT_LITERAL"):
            parts.append("~")
    return "".join(parts)


def _of_set(members: Any) -> str:
    kinds = {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}
    for op, argument in members:
        if str(op) == "LITERAL":
            return chr(argument)
        if str(op) == "RANGE":
            return chr(argument[0])
        if str(op) == "CATEGORY":
            return kinds.get(str(argument), "~")
    return "~"


def text_functions(prefixes: Sequence[str]) -> dict[str, Work]:
    """All functions of these modules that take one text and need nothing else, by name."""
    found: dict[str, Work] = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith(tuple(prefixes)):
            for public, function in list(vars(module).items()):
                if public.startswith("_"):
                    continue
                work = inspect.unwrap(function) if callable(function) else None
                if isinstance(work, FunctionType) and work.__module__ == name and _takes_a_text(work):
                    found[f"{name}.{work.__qualname__}"] = _drained(work)
    return found


def _takes_a_text(function: FunctionType) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if inspect.iscoroutinefunction(function):
        return False
    return bool(parameters) and needed == parameters[:1] and parameters[0].annotation in ("str", str)


def _drained(function: Callable[..., Any]) -> Work:
    def work(text: str) -> None:
        try:
            made = function(text)
            if inspect.isgenerator(made):
                for _ in made:
                    pass
        except (ValueError, KeyError, TypeError, LookupError, memhost.errors.MemhostError):
            pass  # refusing the text is work as well

    return work
