"""Secrets that are told by the name in front of them: `DB_PASSWORD=...`, `"api_key": "..."`, "my password is ..."."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from memhost.secrets.placeholders import is_code, is_placeholder

_WORDS = (
    "pass", "pwd", "secret", "token", "key", "credential", "kennwort", "mot de passe", "mot_de_passe", "contrase", "clave",
    "senha", "parola", "şifre", "sifre", "hasło", "heslo", "salasana", "lösenord", "adgangskode", "jelszó", "wachtwoord",
    "парол", "密码", "密碼", "口令", "パスワード", "비밀번호", "암호", "كلمة", "पासवर्ड", "mật khẩu", "kata sandi", "סיסמה", "κωδικός",
    "รหัสผ่าน", "pw",
)  # fmt: skip
"""The beginnings of names of secrets, in small letters."""

_PASSWORD = (
    r"pass(?:word|wd|phrase|code|wort)|(?<![A-Za-z])(?:pw|pass)|pwd|kennwort|mot[ _]de[ _]passe|contrase(?:ñ|n)a|senha"
    r"|parola(?: d'ordine)?|[şs]ifre(?:m|miz)?|hasło|heslo|salasana|lösenord(?:et)?|adgangskode(?:n)?|jelszó|wachtwoord"
    r"|парол(?:ь|я|ем)|密码|密碼|口令|パスワード|비밀번호|암호|كلمة (?:المرور|السر)|पासवर्ड|mật khẩu|kata sandi|סיסמה|κωδικός|รหัสผ่าน"
    r"|clave"
)
_OF_KEYS = "api access private signing encryption account auth secret master client".split()
_KEY = (
    r"secret(?:[ _-]?(?:access[ _-]?)?(?:key|token|value))?|token|credentials?"
    r"|(?:(?<=[_.-])|" + "|".join(f"(?<={name})|(?<={name} )" for name in _OF_KEYS) + ")key"
)
_IS = (
    r"(?:(?<![a-z])(?:is(?: now)?|was|ist(?: jetzt)?|lautet|est|es|è|é|är|er|je|to|on|az|jest|là|adalah)(?![a-z])"
    r"|:=|=>|[=:：＝—–-]|это|είναι|(?:现在)?是|为|為|は|가|는|은|이|هي|هو|है|היא|คือ)"
)
_OPENED = r"[\"'`“”«»„‘’「『]"
_VALUE = r"[^\s\"'`“”«»„‘’「」『』,;<>(){}\[\]|，。、；]{4,400}"

_ASSIGNED = re.compile(
    rf"(?i)(?P<name>(?P<password>{_PASSWORD})|{_KEY})\d?(?:\\?[\"'`]|\]|\*\*)?[ \t]{{0,8}}(?P<sign>=>|:=|\?=|[=:：＝])(?!=)"
    rf"[ \t]{{0,8}}(?:\*\*[ ]?)?(?:[a-z]{{0,2}}(?P<quote>\\?[\"'`])(?P<quoted>[^\"'`\s\\]{{4,400}})\\?[\"'`]|(?P<bare>{_VALUE}))"
)
_SAID = re.compile(
    rf"(?i)(?P<name>(?P<password>{_PASSWORD})|{_KEY})(?<![^a-z]pass)(?:[ ][^\W\d_]{{1,15}}){{0,4}}?[ ]?{_IS}[ ]?"
    rf"(?:now |jetzt |actually |currently |still )?[:：]?[ ]{{0,3}}{_OPENED}?(?P<bare>{_VALUE})"
)
_NEXT_TO = re.compile(
    r"(?i)(?P<name>(?P<password>[şs]ifre(?:m|miz)?(?:iz)?|パスワード|密码|密碼|비밀번호|पासवर्ड|парол(?:ь|я|ем)|รหัสผ่าน|mật khẩu))"
    rf"[ :：]{{0,3}}{_OPENED}?(?P<bare>[!-~]{{6,100}})"
)
_HEADER = re.compile(r"(?i)(?<![a-z])(?:bearer|(?:authorization:?\s{0,3})(?:token|apikey|api-key|key))\s{1,4}(?P<bare>[\w.~+/-]{16,4000}={0,2})")
_BASIC = re.compile(r"(?i)(?<![a-z])basic\s{1,4}(?P<bare>[A-Za-z0-9+/]{8,800}={0,2})")
_ADDRESS = re.compile(r"://(?P<user>[^\s:/@\"'<>]{0,200}):(?P<bare>[^\s/\"'<>]{1,300})@(?P<host>[^\s/:\"'<>,;)@?#]{0,200})")
_COMMAND = re.compile(
    r"(?:curl[^\n]{0,200}? -u|curl[^\n]{0,200}? --user|wget[^\n]{0,200}? --password)[ =]['\"]?(?:[\w.@+-]{1,80}:)?(?P<bare>[^\s'\"]{4,100})"
    r"|(?:mysql|mysqldump|mariadb)\b[^\n]{0,120}? -p(?P<mysql>[^\s'\"-][^\s'\"]{3,100})|sshpass -p ?['\"]?(?P<ssh>[^\s'\"]{4,100})"
)
_CONNECTION = re.compile(r"(?i)[;?&](?:password|passwd|pwd)=(?P<bare>[^\s;&\"'<>{}]{3,200})")
_HARMLESS = re.compile(
    r"(?i)(?:idempotency|publickey|primary|foreign|sort|partition|cache|public|routing|dedup(?:lication)?|row|hash|group|unique|natural"
    r"|surrogate|lookup|storage|object|index|order|message|event|translation|i18n|map|dict|site|pub|range|registry|cursor|shard"
    r"|next|page|continuation|sync|eos|bos|pad|unk|sep|cls|mask|stop|nextpage|pagination|resume|start|queue|task|job|memory|user"
    r"|item|entity|record|document|doc|trace|span|correlation|host|etag|version|checksum|finger)[ _-]?(?:page[ _-]?)?(?:key|token)$"
)
"""Names of keys that keep nothing secret."""
_STRANGE = re.compile(r"[!@#$%^&*+=?~]")
_EXAMPLE_HOSTS = re.compile(
    r"(?i)(?:.*\.)?(?:localhost|host\d?|hostname|example(?:\.\w+)?|server\d?|127\.0\.0\.1|0\.0\.0\.0|proxy|domain(?:\.\w+)?|foo(?:\.\w+)?|db|ip|address|url|host\.\w+|test(?:\.\w+)?|bar(?:\.\w+)?)?"
)
_AUTHORITY_END = ".,;:!?)]}'"
_ENDS = ".,;:?)]}…。\\"


class Named(NamedTuple):
    """A secret in a text, by the name in front of it."""

    start: int
    end: int
    kind: str


def named(text: str) -> Iterator[Named]:
    """The secrets of a text that a name tells, in no order."""
    low = text.lower() if "İ" not in text else text.replace("İ", "I").lower()  # the one letter that becomes two
    for word in _WORDS:
        if word in low:
            yield from _behind_names(text, low, word)
    if "://" in text:
        yield from _in_addresses(text)
    if "bearer" in low or "authorization" in low or "basic" in low:
        yield from _in_headers(text)
    if " -p" in text or " -u" in text or "--user" in text or "--password" in text:
        for found in _COMMAND.finditer(text):
            group = found.lastgroup or "bare"
            if not is_placeholder(found[group]) and not found[group].startswith("$"):
                yield Named(*found.span(group), "password")


def _behind_names(text: str, low: str, word: str) -> Iterator[Named]:
    place = low.find(word)
    while place >= 0:
        span = None
        for pattern in (_ASSIGNED, _SAID, _NEXT_TO):
            found = pattern.match(text, place)
            span = _assigned(text, found) if found is not None else None
            if found is not None and span is not None:
                yield Named(*span, "password" if found["password"] else "key")
                break
        if span is None and place and text[place - 1] in ";?&":
            found = _CONNECTION.match(text, place - 1)
            if found is not None and not is_placeholder(found["bare"]):
                if not is_code(found["bare"], text[found.end() : found.end() + 1]):
                    yield Named(*found.span("bare"), "password")
        place = low.find(word, place + len(word))


def is_secret_of(name: str, value: str) -> bool:
    """Tell whether a value under a key of a JSON object is a secret, by the key's name."""
    if len(name) > 100 or not 4 <= len(value) <= 400:
        return False
    text = f'{name}: "{value}"'
    return any(secret.start == len(name) + 3 for secret in named(text) if secret.end == len(text) - 1)


def _assigned(text: str, found: re.Match[str]) -> tuple[int, int] | None:
    """The place of the secret behind a name; None if it is none."""
    groups = found.groupdict()
    group = "quoted" if groups.get("quoted") is not None else "bare"
    value = found[group]
    start, end = found.span(group)
    if group == "bare":
        trimmed = value.rstrip(_ENDS)
        end -= len(value) - len(trimmed)
        value = trimmed
        if is_code(value, text[end : end + 1]):
            return None
    if group == "quoted" and value[0] in "),;?:]}":
        return None  # between two quoted texts
    if text[max(0, found.start() - 1) : found.start() + 7] == "[secret:" or is_placeholder(value):
        return None
    if groups.get("password") is None:
        harmless = _HARMLESS.search(text[max(0, found.start() - 40) : found.end("name")])
        return (start, end) if _is_random(value) and not harmless else None
    return (start, end) if _is_password(value, found) else None


def _is_password(value: str, found: re.Match[str]) -> bool:
    if not 6 <= len(value) <= 200 or value.casefold().startswith(("http://", "https://", "/", "./")):
        return False
    bare = value.rstrip("!?.*:")
    if any(sign.isdigit() for sign in bare) or _STRANGE.search(bare[1:]):
        return not re.fullmatch(r"[\d.,:%-]{1,7}|\d+(?:st|nd|rd|th|px|ms|s|kb|mb|em|rem|%|days?|min)", bare.casefold()) or bare.isdigit() and len(bare) >= 6
    name = found["name"]
    env = name.isupper() and found.groupdict().get("sign") == "=" and found.group(0)[len(name)] == "="
    return env and not is_code(value, "") and len(bare) >= 6 and not bare.isupper()


def _is_random(value: str) -> bool:
    """Tell whether a value is long and mixed enough to be a key."""
    if not re.fullmatch(r"[\w+/=.~:!@#$%^&*-]{12,400}", value, re.ASCII):
        return False
    letters = [sign for sign in value if sign.isalpha()]
    digits = sum(sign.isdigit() for sign in value)
    mixed = value.casefold() != value and value.upper() != value
    if digits < (1 if mixed and len(value) >= 20 else 2) or not letters or len(set(value)) < 8:
        return False
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", value) if part]
    longest = max(map(len, parts), default=0)
    words = sum(len(part) for part in parts if part.isalpha() and (part.islower() or part.istitle()))
    return longest >= 10 and words * 2 <= len(value) and not re.fullmatch(r"[A-Za-z]+\d{1,4}", value)


def _in_addresses(text: str) -> Iterator[Named]:
    """Passwords in addresses: `postgres://app:hunter22@db.internal/x`."""
    for found in _ADDRESS.finditer(text):
        value, user, host = unquote(found["bare"]), found["user"], found["host"]
        if is_placeholder(value) or value.casefold() == user.casefold() or value.isdigit() and len(value) < 6:
            continue
        mixed = any(sign.isdigit() for sign in value) or bool(_STRANGE.search(value)) or value.casefold() != value
        if len(value) < 4 or (not mixed and (_EXAMPLE_HOSTS.fullmatch(host) or len(value) < 6)):
            continue
        if re.fullmatch(r"[A-Z_]+", value) or "{" in value or "(" in value or "$" == value[0] or "[" in value:
            continue
        yield Named(*found.span("bare"), "password")


def _in_headers(text: str) -> Iterator[Named]:
    for found in _HEADER.finditer(text):
        value = found["bare"]
        mixed = any(sign.isdigit() for sign in value) or (value.lower() != value and value.upper() != value)
        if mixed and not is_placeholder(value) and len(set(value)) >= 8 and not re.fullmatch(r"[A-Za-z]+(?:[-/.][A-Za-z]+)*", value):
            yield Named(*found.span("bare"), "authorization")
    for found in _BASIC.finditer(text):
        if _is_basic(found["bare"]):
            yield Named(*found.span("bare"), "authorization")


def _is_basic(value: str) -> bool:
    from base64 import b64decode
    from binascii import Error

    try:
        said = b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (Error, ValueError):
        return False
    user, colon, password = said.partition(":")
    return bool(colon) and said.isprintable() and len(password) >= 3 and not is_placeholder(password) and bool(user)
