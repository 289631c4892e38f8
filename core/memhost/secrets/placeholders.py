"""Tells values that only stand for a secret: words of documentation, templates, names of variables, repeated signs."""

from __future__ import annotations

import re

_TEMPLATE = ("<", ">", "${", "{{", "$(", "%(", "...", "…", "***", "•", "xxxx", "XXXX")
"""Signs of templates, of cut texts, and of masks. (As one pattern they take 40 times as long to look for.)"""
_TEMPLATE_BEGINS = re.compile(r"\$\w|[%{\[]")

_PARTS = re.compile(r"[^\W\d_]+")

_WORDS = frozenset((
    "a", "abc", "abcd", "abcdef", "abcdefg", "abcdefgh", "abcdefghi", "access", "account", "admin", "an", "and",
    "any", "api", "app", "application", "auth", "aws", "azure", "bar", "baz", "bearer", "bot", "changeit", "change",
    "changeme", "client", "credential", "credentials", "db", "default", "demo", "dev", "dummy", "empty", "enter",
    "example", "fake", "false", "fixme", "foo", "fubar", "git", "github", "given", "goes", "guest", "here",
    "hidden", "host", "hostname", "id", "in", "insert", "is", "it", "jwt", "key", "keys", "letmein", "local",
    "localhost", "login", "long", "me", "mock", "must", "my", "mypass", "mypassword", "mysecret", "mytoken", "name",
    "new", "nil", "no", "none", "not", "null", "of", "old", "openai", "optional", "or", "passphrase", "pass",
    "passwd", "password", "passwords", "passwort", "placeholder", "please", "postgres", "postgresql", "prefix",
    "private", "production", "public", "pw", "pwd", "qux", "random", "real", "redacted", "redis", "removed",
    "replace", "required", "root", "s", "sample", "secret", "secretkey", "secrets", "server", "set", "some",
    "something", "string", "strong", "super", "supersecret", "t", "test", "tester", "testing", "tests", "thats",
    "the", "this", "to", "todo", "token", "tokens", "topsecret", "true", "undefined", "unknown", "use", "user",
    "username", "valid", "value", "very", "will", "with", "word", "wrong", "x", "xx", "xxx", "y", "yes", "you",
    "your", "yourpassword", "yourself", "z", "contrasena", "clave", "mot", "de", "passe", "geheim", "motdepasse",
    "kennwort", "senha", "parola", "haslo", "heslo", "sifre",
))  # fmt: skip
"""Words of which documentation makes its secrets."""

_TECHNICAL = re.compile(
    r"(?:[xvpshd]|ec|id|cp|iso|p)[-_]?\d[\d._-]{0,8}"
    r"|(?:sha|md|base|utf|pbkdf|rsa|aes|hs|rs|es|ps|ed|oauth|argon|u?int|float|str|http|ipv|win|latin|python|py|arg|ntlm|iam|web|crc|hmac"
    r"|blake)[-_]?\d[\d._-]{0,8}[a-z]{0,5}\d?"
)
_DATE = re.compile(r"\d{1,4}[-./:]\d{1,2}(?:[-./:T]\d{1,4}\S{0,20})?")


def is_placeholder(value: str) -> bool:
    """Tell whether a value only stands for a secret: `changeme`, `<your-key>`, `${VAR}`, `xxxx`, `user123`."""
    if any(map(value.__contains__, _TEMPLATE)) or _TEMPLATE_BEGINS.match(value) or is_monotone(value):
        return True
    low = value.casefold().rstrip("!?.")
    if _TECHNICAL.fullmatch(low) or _DATE.fullmatch(value):
        return True
    words = _PARTS.findall(low)
    return bool(words) and all(word in _WORDS for word in words) and _plain_digits(low)


def _plain_digits(low: str) -> bool:
    """Tell whether the digits in it are ones that people type without a thought, or few."""
    digits = "".join(sign for sign in low if sign.isdigit())
    return len(digits) <= 1 or digits in "01234567890" or len(set(digits)) == 1


def is_monotone(value: str) -> bool:
    """Tell whether a value is made of hardly more than one sign, as those are that hide one."""
    low = value.casefold()
    counts = [low.count(sign) for sign in set(low) if sign.isalnum()]
    signs = sum(counts)
    return len(counts) <= max(1, signs // 10) or (signs >= 8 and max(counts) * 10 >= signs * 8)


def is_code(value: str, after: str, *, said: bool = False) -> bool:
    """Tell whether a value without quotes is an expression: a call, an attribute, a name of a variable or a file.

    Args:
        value: The value.
        after: The sign behind it, if any.
        said: It stands in a sentence, where nobody names a variable.
    """
    if after and after in "([{":
        return True
    low = value.casefold()
    if (
        low.startswith(_PATHS)
        or "environ" in low
        or "==" in low
        or "?." in low
        or _ATTRIBUTE.fullmatch(low)
        or _is_class(value)
    ):
        return True
    return not said and _VARIABLE.fullmatch(low) is not None and any(word in low for word in _IN_NAMES)


_PATHS = ("http://", "https://", "/", "./", "~/", "@", "&", "*", "\\", "--", "?")
_ATTRIBUTE = re.compile(r"[a-z_]\w*(?:(?:\.|->|::)[a-z_]\w*)+")
_VARIABLE = re.compile(r"[a-z_][\w.-]*")
_IN_CLASSES = ("Key", "Token", "Password", "Secret", "Type", "Credential")
_IN_NAMES = ("password", "passwd", "secret", "token", "_key", "pwd", "credential")


def _is_class(value: str) -> bool:
    return value[:1].isupper() and value.isalnum() and any(word in value for word in _IN_CLASSES)
