"""Turning what operators write into values, and saying in words what would be accepted."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect as shapes

from memhost.settings.fields import REDACTED, Secret, Setting

TRUE = frozenset({"1", "true", "t", "yes", "y", "on", "enabled"})
FALSE = frozenset({"0", "false", "f", "no", "n", "off", "disabled"})
_LISTS = (
    shapes.ListType,
    shapes.SetType,
    shapes.FrozenSetType,
    shapes.VarTupleType,
    shapes.TupleType,
)
_TABLES = (shapes.DictType, shapes.StructType, shapes.TypedDictType, shapes.DataclassType)


class BadValueError(ValueError):
    """A value that does not fit its setting; the text says what would."""


def convert(setting: Setting, raw: Any) -> Any:
    """The value of a setting, from a string of the environment or a value of a file.

    Raises:
        BadValueError: It does not fit.
    """
    value = _translate(setting, raw)
    try:
        return msgspec.convert(_loosen(setting.shape, value), setting.type, strict=False, dec_hook=decode_custom)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise BadValueError(explain(setting, raw, str(error))) from error


def decode_custom(kind: type, value: Any) -> Any:
    """Decode the types that msgspec does not know: `Secret`."""
    if issubclass(kind, Secret) and isinstance(value, str):
        return kind(value)
    if issubclass(kind, Secret):
        raise ValueError("Expected `str`")
    raise NotImplementedError(kind.__name__)


def explain(setting: Setting, raw: Any, error: str) -> str:
    """Return the problem of a value; the text continues a sentence that begins with its source's name."""
    shown = REDACTED if setting.secret else _shorten(raw)
    wanted = expectation(setting.shape)
    return f"is {shown}, but must be {wanted}" if wanted else f"is {shown}: {error}"


def _shorten(raw: Any) -> str:
    text = raw if isinstance(raw, str) else repr(raw)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"'{text}'" if isinstance(raw, str) else text


def _translate(setting: Setting, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    if not setting.values:
        return raw
    names = [name.strip() for name in raw.split(",")]  # several, where the setting takes them
    return ",".join(setting.values.get(name.lower(), name) for name in names)


def _loosen(shape: Any, value: Any) -> Any:
    """Give a string the form that msgspec expects for that shape; leave other values alone."""
    if isinstance(shape, shapes.Metadata):
        return _loosen(shape.type, value)
    if not isinstance(value, str):
        return value
    if isinstance(shape, shapes.UnionType):
        return _loosen_union(shape, value)
    text = value.strip()
    if isinstance(shape, shapes.BoolType):
        return _bool(text)
    if isinstance(shape, (shapes.IntType, shapes.FloatType)):
        return text.replace("_", "")
    if isinstance(shape, shapes.LiteralType):
        return _same_word(text, shape.values)
    if isinstance(shape, shapes.EnumType):
        return _same_word(text, [member.value for member in shape.cls])
    if isinstance(shape, _LISTS):
        items = msgspec.json.decode(text) if text.startswith("[") else _split(text)
        inner = getattr(shape, "item_type", shapes.AnyType())
        return [_loosen(inner, item) for item in items]
    if isinstance(shape, _TABLES):
        return msgspec.json.decode(text)
    return value


def _loosen_union(shape: shapes.UnionType, value: str) -> Any:
    members = [member for member in shape.types if not isinstance(member, shapes.NoneType)]
    takes_text = any(isinstance(member, (shapes.StrType, shapes.CustomType)) for member in members)
    if len(members) < len(shape.types) and value.strip().lower() in ("none", "null"):
        return None
    return _loosen(members[0], value) if len(members) == 1 and not takes_text else value


def _bool(text: str) -> bool:
    word = text.lower()
    if word not in TRUE | FALSE:
        raise ValueError("Expected `bool`")
    return word in TRUE


def _same_word(text: str, allowed: Any) -> Any:
    return next((item for item in allowed if str(item).lower() == text.lower()), text)


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def expectation(shape: Any) -> str:
    """Return the accepted values of a setting of that shape, in words; empty if there is nothing short to say."""
    if isinstance(shape, shapes.Metadata):
        return expectation(shape.type)
    if isinstance(shape, shapes.UnionType):
        parts = [expectation(item) for item in shape.types if not isinstance(item, shapes.NoneType)]
        return " or ".join(part for part in parts if part)
    if isinstance(shape, shapes.BoolType):
        return "true or false"
    if isinstance(shape, (shapes.IntType, shapes.FloatType)):
        noun = "a whole number" if isinstance(shape, shapes.IntType) else "a number"
        return noun + _bounds(shape)
    if isinstance(shape, shapes.LiteralType):
        return "one of " + ", ".join(str(item) for item in shape.values)
    if isinstance(shape, shapes.EnumType):
        return "one of " + ", ".join(str(member.value) for member in shape.cls)
    if isinstance(shape, _LISTS):
        inner = expectation(getattr(shape, "item_type", None))
        return "a list separated by commas" + (f", each {inner}" if inner else "")
    if isinstance(shape, _TABLES):
        return "a table (in the environment: a JSON object)"
    if isinstance(shape, shapes.StrType):
        return _text_expectation(shape)
    return "text" if isinstance(shape, shapes.CustomType) else ""


def _text_expectation(shape: shapes.StrType) -> str:
    parts = ["text"]
    if shape.pattern is not None:
        parts.append(f"matching {shape.pattern}")
    if shape.min_length is not None:
        parts.append(f"of at least {shape.min_length} characters")
    if shape.max_length is not None:
        parts.append(f"of at most {shape.max_length} characters")
    return " ".join(parts)


def _bounds(shape: shapes.IntType | shapes.FloatType) -> str:
    low = shape.ge if shape.ge is not None else shape.gt
    high = shape.le if shape.le is not None else shape.lt
    if shape.ge is not None and shape.le is not None:
        return f" from {shape.ge} to {shape.le}"
    words = []
    if low is not None:
        words.append(f"at least {low}" if shape.ge is not None else f"above {low}")
    if high is not None:
        words.append(f"at most {high}" if shape.le is not None else f"below {high}")
    return (", " + " and ".join(words)) if words else ""


def plain(value: Any) -> Any:
    """The value as JSON knows it, for listings."""
    return msgspec.to_builtins(value, enc_hook=str)
