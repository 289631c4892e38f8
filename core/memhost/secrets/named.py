"""Secrets that are told by the name in front of them: `DB_PASSWORD=...`, `"api_key": "..."`, "my password is ..."."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from memhost.secrets.placeholders import is_code, is_placeholder

_WORDS = (
    "pass", "pwd", "secret", "token", "key", "credential", "kennwort", "mot de passe", "mot_de_passe", "contrase",
    "clave", "senha", "parola", "şifre", "sifre", "hasło", "heslo", "salasana", "lösenord", "adgangskode", "jelszó",
    "wachtwoord", "парол", "密码", "密碼", "口令", "パスワード", "비밀번호", "암호", "كلمة", "पासवर्ड", "mật khẩu",
    "kata sandi", "סיסמה", "κωδικός", "รหัสผ่าน", "pw", "mdp",
)  # fmt: skip
"""The beginnings of names of secrets, in small letters."""
_WORDS_IN_ASCII = tuple(filter(str.isascii, _WORDS))

_OF_PASSWORDS = (
    r"pass(?:word|wd|phrase|code|wort)|(?<![A-Za-z])(?:pw|pass)|pwd|kennwort|mot[ _]de[ _]passe|contrase(?:ñ|n)a"
    r"|senha|parola(?: d'ordine)?|[şs]ifre(?:m|miz)?|hasło|heslo|salasana|lösenord(?:et)?|adgangskode(?:n)?|jelszó"
    r"|wachtwoord|парол(?:ь|я|ем)|密码|密碼|口令|パスワード|비밀번호|암호|كلمة (?:المرور|السر)|पासवर्ड|mật khẩu"
    r"|kata sandi|סיסמה|κωδικός|รหัสผ่าน|clave|(?<![a-z])mdp"
)  # fmt: skip
_OF_KEYS = ["api", "access", "private", "signing", "encryption", "account", "auth", "secret", "master", "client"]
_KEY = (
    r"secret(?:[ _-]?(?:access[ _-]?)?(?:key|token|value))?|token|credentials?"
    r"|(?:(?<=[A-Za-z0-9][_.-])|" + "|".join(f"(?<={name})|(?<={name} )" for name in _OF_KEYS) + ")key"
)
_IS = (
    r"(?:(?<![a-z])(?:is(?: now)?|was|ist(?: jetzt)?|lautet|est|es|è|é|är|er|je|to|on|az|jest|là|adalah)(?![a-z])"
    r"|:=|=>|[=:：＝—–-]|это|είναι|(?:现在)?是|为|為|は|가|는|은|이|هي|هو|है|היא|คือ)"
)
_OPENED = r"[\"'`“”«»„‘’「『]"
_VALUE = r"[^\s\"'`“”«»„‘’「」『』,;<>(){}\[\]|，。、；]{4,400}"

_ASSIGNED = re.compile(
    rf"(?i)(?P<name>(?P<password>{_OF_PASSWORDS})|{_KEY})\d?(?:\\?[\"'`]|\]|\*\*)?[ \t]{{0,8}}"
    r"(?P<sign>=>|:=|\?=|[=:：＝])(?!=)[ \t]{0,8}(?:\*\*[ ]?)?"
    rf"(?:[a-z]{{0,2}}\\?[\"'`](?P<quoted>[^\"'`\s\\]{{4,400}})\\?[\"'`]|(?P<bare>{_VALUE}))"
)
_SAID = re.compile(
    rf"(?i)(?P<name>(?P<password>{_OF_PASSWORDS})|{_KEY})(?<![^a-z]pass)"
    rf"(?P<between>(?:[ ](?!id\b)[^\W\d_]{{1,15}}){{0,4}}?)[ ]?{_IS}"
    rf"[ ]?(?:now |jetzt |actually |currently |still )?[:：]?[ ]{{0,3}}{_OPENED}?(?P<bare>{_VALUE})"
)
_NEXT_TO = re.compile(
    r"(?i)(?P<name>(?P<password>[şs]ifre(?:m|miz)?(?:iz)?|パスワード|密码|密碼|비밀번호|पासवर्ड|парол(?:ь|я|ем)"
    r"|รหัสผ่าน|mật khẩu))"
    rf"[ :：]{{0,3}}{_OPENED}?(?P<bare>[!-~]{{6,100}})"
)
_BESIDE = re.compile(
    rf"(?i)(?P<name>(?P<password>{_OF_PASSWORDS})|{_KEY})\d?(?:['’]s)?(?P<gap>[\s\"'`“”«»()\[\]<>|,→=:*-]{{1,8}})"
    r"(?P<bare>[^\s\"'`,;<>(){}\[\]|]{6,200})"
)
_BARE_NAME = re.compile(rf"(?i)(?:{_KEY})")
_BARE_KEY = re.compile(r"(?i)(?<![\w-])(?P<name>key)[\"']?[ ]?[:=][ ]?[\"']?(?P<bare>[A-Za-z0-9_+/=-]{20,200})")
_FLAG = re.compile(r"(?:(?:^|\s)--?|\bENV )[\w-]{0,40}\Z")
_ACCOUNTS = ("login", "/pass", "cred", "daten", "identifiants")
_ELSE = (
    *("key", "://", "@", *_ACCOUNTS, " -p", " -u", "--user", "wifi:", "cookie:"),
    *("phrase", "words", "pin", "bearer", "authorization", "basic"),
)
"""Without one of these and of `_WORDS`, in small letters, a text names no secret."""


def _least(words: Iterable[str]) -> tuple[str, ...]:
    """Those of the words that hold no other one: a text with none of them has none of all."""
    among = frozenset(words)
    return tuple(word for word in sorted(among) if not any(other in word for other in among - {word}))


_TELLING = _least((*_WORDS, *_ELSE))
_OF_LETTERS = tuple(word for word in _TELLING if word.isascii() and word.replace(" ", "").isalpha())
_WITH_SIGNS = tuple(word for word in _TELLING if word.isascii() and word not in _OF_LETTERS)
"""Each of them has one of `_SIGNS_OF_THEM`."""
_SIGNS_OF_THEM = (":", "@", "-")


def _may_name(low: str) -> bool:
    """Tell whether a text in small letters has one of `_WORDS` or `_ELSE`."""
    if not low.isascii():
        return any(map(low.__contains__, _TELLING))
    if any(map(low.__contains__, _OF_LETTERS)):
        return True
    return any(map(low.__contains__, _SIGNS_OF_THEM)) and any(map(low.__contains__, _WITH_SIGNS))


_PAIR = re.compile(
    r"(?i)(?:(?<![a-z])(?:credentials|creds|zugangsdaten|anmeldedaten|identifiants|credenciales|credenziali|login"
    r"|user/pass(?:word)?)(?: are| is| sind| sont| son| sono)?\s{0,3}[:=]?\s{0,3}[\w.@+-]{1,80}\s?[/:,|]\s?"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}[:|])(?P<bare>[^\s\"'`,;<>(){}/|]{6,100})"
)
_OPTIONS = (" -p", " -u", "--user", "--password")
_WIFI = re.compile(r"WIFI:(?:[A-OQ-Z]\w?:[^;\n]{0,80};){0,4}P:(?P<bare>[^;\n]{4,100});")
_COOKIE = re.compile(r"(?i)(?<=[;: ])[\w.-]{1,64}=(?P<bare>[A-Za-z0-9_+/=%.-]{20,400})")
_PHRASE = re.compile(
    r"(?i)(?:seed|recovery|secret|backup|wallet)[ -](?:phrase|words)(?: is| are)?\s{0,3}[:=]?\s{0,3}[\"'`]?"
    r"(?P<bare>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})"
)
_PIN = re.compile(
    r"(?i)(?<![a-z])(?:my|our|the|mein\w{0,2}|die|mon|le|mi|il mio|meu|minha|card|sim|bank)\s(?:[a-z]{2,12}\s){0,2}pin"
    r"(?:[ -](?:code|number|nummer))?\s(?:is|ist|lautet|est|es|è|é)[ :]{1,3}(?P<bare>\d{4,8})(?!\d)"
)
_HEADER = re.compile(
    r"(?i)(?<![a-z])(?:bearer|(?:authorization:?\s{0,3})(?:token|apikey|api-key|key))\s{1,4}"
    r"(?P<bare>[\w.~+/-]{16,4000}={0,2})"
)
_BASIC = re.compile(r"(?i)(?<![a-z])basic\s{1,4}(?P<bare>[A-Za-z0-9+/]{8,800}={0,2})")
_ADDRESS = re.compile(
    r"://(?P<user>[^\s:/@\"'<>]{0,200}):(?P<bare>[^\s/\"'<>]{1,300})@(?P<host>[^\s/:\"'<>,;)@?#]{0,200})"
)
_COMMAND = re.compile(
    r"(?:curl[^\n]{0,200}? (?:-u|--user)|wget[^\n]{0,200}? --password)[ =]['\"]?(?:[\w.@+-]{1,80}:)?"
    r"(?P<bare>[^\s'\"]{4,100})"
    r"|(?:mysql|mysqldump|mariadb)\b[^\n]{0,120}? -p(?P<mysql>[^\s'\"-][^\s'\"]{3,100})"
    r"|sshpass -p ?['\"]?(?P<ssh>[^\s'\"]{4,100})"
)
_CONNECTION = re.compile(r"(?i)[;?&](?:password|passwd|pwd)=(?P<bare>[^\s;&\"'<>{}]{3,200})")
_IN_QUERY = re.compile(r"[?&][\w.-]{0,40}\Z")
"""In front of the name of a parameter of an address, whose value ends at the next one and may be percent-encoded."""
_HARMLESS = re.compile(
    r"(?i)(?:idempotency|publickey|primary|foreign|sort|partition|cache|public|routing|dedup(?:lication)?|row|hash"
    r"|group|unique|natural|surrogate|lookup|storage|object|index|order|message|event|translation|i18n|map|dict|site"
    r"|pub|range|registry|cursor|shard|next|page|continuation|sync|eos|bos|pad|unk|sep|cls|mask|stop|nextpage"
    r"|pagination|resume|start|queue|task|job|memory|user|item|entity|record|document|doc|trace|span|correlation|host"
    r"|etag|version|checksum|finger)[ _-]?(?:page[ _-]?)?(?:key|token)$"
)
"""Names of keys that keep nothing secret."""
_STRANGE = re.compile(r"[!@#$%^&*+=?~]")
_EXAMPLE_HOSTS = re.compile(
    r"(?i)(?:[\w.-]*\.)?(?:localhost|hostname|server\d?|proxy|db|ip|address|url|127\.0\.0\.1|0\.0\.0\.0|host\d?"
    r"|(?:example|domain|foo|bar|host|test)(?:\.\w+)?)?"
)
_ENDS = ".,;:?)]}…。\\"
_LEAST = 4
"""Characters of the shortest value that may be a secret."""
_LONGEST_PASSWORD = 200

_KEY_LETTERS = re.compile(r"[A-Za-z0-9_+/=.~:!@#$%^&*-]{12,400}")
_MEASURE = re.compile(r"[\d.,:%-]{1,7}|\d+(?:st|nd|rd|th|px|ms|s|kb|mb|em|rem|%|days?|min)")
_SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}
"""Spaces for all signs of ASCII: a translation, which takes a tenth of the time of a pattern."""
_NUMBERED = re.compile(r"[A-Za-z]+\d{1,4}")
_SIGN = re.compile(r"[^:=]*[!@#$^&*?~][^:=]*")
_ASCII = re.compile(r"[!-~]+")


class Named(NamedTuple):
    """A secret in a text, by the name in front of it: its place, its kind, and itself without what belongs to it."""

    start: int
    end: int
    kind: str
    value: str


def named(text: str) -> Iterator[Named]:
    """The secrets of a text that a name tells, in no order."""
    low = text.lower() if "İ" not in text else text.replace("İ", "I").lower()  # the one letter that becomes two
    if not _may_name(low):
        return
    words = _WORDS_IN_ASCII if low.isascii() else _WORDS
    for word in words:
        if word in low:
            yield from _behind_names(text, low, word)
    if "key" in low:
        yield from _bare_keys(text)
    if "://" in text:
        yield from _in_addresses(text)
    yield from _of_accounts(text, low)
    yield from _of_devices(text, low)
    if "bearer" in low or "authorization" in low or "basic" in low:
        yield from _in_headers(text)


def _bare_keys(text: str) -> Iterator[Named]:
    for found in _BARE_KEY.finditer(text):
        if _is_long_random(found["bare"]) and not is_code(found["bare"], text[found.end() : found.end() + 1]):
            yield Named(*found.span("bare"), "key", found["bare"])


def _of_accounts(text: str, low: str) -> Iterator[Named]:
    """Passwords behind the name of an account, and in commands."""
    if "@" in text or any(map(low.__contains__, _ACCOUNTS)):
        for found in _PAIR.finditer(text):
            value = found["bare"].rstrip(_ENDS)
            if _is_strong(value) and not is_placeholder(value):
                yield Named(found.start("bare"), found.start("bare") + len(value), "password", value)
    if any(map(text.__contains__, _OPTIONS)):
        for found in _COMMAND.finditer(text):
            group = found.lastgroup or "bare"
            if not is_placeholder(found[group]) and not found[group].startswith("$"):
                yield Named(*found.span(group), "password", found[group])


def _behind_names(text: str, low: str, word: str) -> Iterator[Named]:
    place = low.find(word)
    while place >= 0:
        span, parameter = None, False
        for pattern in (_ASSIGNED, _SAID, _NEXT_TO):
            found = pattern.match(text, place)
            span = _assigned(text, found) if found is not None else None
            if found is not None and span is not None:
                value = text[slice(*span)]
                decoded = unquote(value) if "%" in value and _in_query(text, place) else value
                yield Named(*span, "password" if found["password"] else "key", decoded)
                break
            if parameter := found is not None and pattern is _ASSIGNED and _in_query(text, place):
                break  # its value ends at the next parameter, and is none
        if span is None and not parameter:
            span = _beside(text, place)
            if span is not None:
                kind = "key" if _BARE_NAME.match(text, place) else "password"
                yield Named(*span, kind, text[slice(*span)])
        if span is None and place and text[place - 1] in ";?&":
            found = _CONNECTION.match(text, place - 1)
            after = text[found.end() : found.end() + 1] if found is not None else ""
            if found is not None and not is_placeholder(found["bare"]) and not is_code(found["bare"], after):
                yield Named(*found.span("bare"), "password", found["bare"])
        place = low.find(word, place + len(word))


def _beside(text: str, place: int) -> tuple[int, int] | None:
    """The place of a secret that stands beside its name with no more than signs or a gap between."""
    found = _BESIDE.match(text, place)
    if found is None or "==" in found["gap"]:
        return None
    value = found["bare"].rstrip(_ENDS)
    start = found.start("bare")
    if found["password"] is None:
        held = _is_long_random(value) and not _HARMLESS.search(text[max(0, place - 40) : found.end("name")])
    elif _is_strong(value):
        held = True
    else:
        flag = found["gap"].strip("\"' ") == "" and _FLAG.search(text[max(0, place - 48) : place])
        held = bool(flag or ("\n" in found["gap"].strip(" ") and ":" in found["gap"])) and _is_password(value, found)
    if not held or is_placeholder(found["bare"]) or is_code(value, text[found.end() : found.end() + 1]):
        return None
    return start, start + len(value)


def _of_devices(text: str, low: str) -> Iterator[Named]:
    """Passwords of wireless networks, cookies, phrases of wallets, and numbers that open something."""
    if "WIFI:" in text:
        for found in _WIFI.finditer(text):
            yield Named(*found.span("bare"), "password", found["bare"])
    if "cookie:" in low:
        for line in re.finditer(r"(?i)cookie:[^\n]{1,4000}", text):
            for found in _COOKIE.finditer(text, line.start(), line.end()):
                if _is_long_random(found["bare"]):
                    yield Named(*found.span("bare"), "cookie", found["bare"])
    if "phrase" in low or "words" in low:
        for found in _PHRASE.finditer(text):
            yield Named(*found.span("bare"), "wallet key", found["bare"])
    if "pin" in low:
        for found in _PIN.finditer(text):
            yield Named(*found.span("bare"), "pin", found["bare"])


def _is_strong(value: str) -> bool:
    """Tell whether letters, digits and signs are mixed as in passwords and in little else."""
    return (
        6 <= len(value) <= 100
        and value.isascii()
        and _SIGN.fullmatch(value) is not None
        and sum(map(str.isalpha, value)) >= 2
        and any(map(str.isdigit, value))
    )


def _is_long_random(value: str) -> bool:
    return len(value) >= 20 and value.lower() != value and any(map(str.isdigit, value)) and _is_random(value)


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
    value, password = found[group], groups.get("password") is not None
    start, end = found.span(group)
    whole, whole_end = "", end
    if group == "bare":
        if not (value.isascii() and value.isprintable()):  # as it nearly always is: far cheaper than the pattern
            letters = _ASCII.match(value)  # in scripts without spaces the sentence goes on right behind it
            value = letters[0] if letters else value
        value = whole = value.rstrip(_ENDS)
        end = whole_end = start + len(value)
        if groups.get("sign") == "=" and _in_query(text, found.start()):
            value = value.partition("&")[0].partition("#")[0]
            end = start + len(value)
            # nobody writes a variable of a shell with %24
            value = unquote(value).removeprefix("$") if "%" in value else value
            if len(value) < _LEAST:
                return None
    elif value[0] in "),;?:]}":
        return None  # between two quoted texts
    if text[max(0, found.start() - 1) : found.start() + 7] == "[secret:":
        return None
    # What costs least comes first: a text may be full of names, each with hundreds of characters behind it.
    if not (_is_password(value, found) if password else _is_key(value, found, text)) or is_placeholder(value):
        return None
    if whole and is_code(whole, text[whole_end : whole_end + 1], said=groups.get("sign") is None):
        return None
    return start, end


def _is_key(value: str, found: re.Match[str], text: str) -> bool:
    groups = found.groupdict()
    if groups.get("between") and "=" in text[found.end("between") : found.start("bare")]:
        return False  # the value of something else: token request=...
    held = _is_random(value) or (_is_variable(found) and (_is_strong(value) or _is_mixed(value)))
    return held and not _HARMLESS.search(text[max(0, found.start() - 40) : found.end("name")])


def _in_query(text: str, place: int) -> bool:
    """Tell whether a name at that place is one of a parameter of an address."""
    return _IN_QUERY.search(text[max(0, place - 42) : place]) is not None


def _is_variable(found: re.Match[str]) -> bool:
    """Tell whether the name is that of a variable that gets its value: `APP_SECRET=...`."""
    name = found["name"]
    return name.isupper() and found.groupdict().get("sign") == "=" and found.group(0)[len(name)] == "="


def _is_mixed(value: str) -> bool:
    """Tell whether capitals, small letters and digits are mixed, as in what somebody made up to be a secret."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return len(value) >= 8 and value.isalnum() and all(any(map(kind, value)) for kind in kinds) and changes(value) >= 4


def _is_password(value: str, found: re.Match[str]) -> bool:
    if not 6 <= len(value) <= _LONGEST_PASSWORD or value.casefold().startswith(("http://", "https://", "/", "./")):
        return False
    bare = value.rstrip("!?.*:")
    if any(sign.isdigit() for sign in bare) or _STRANGE.search(bare[1:]):
        return bare.isdigit() or not _MEASURE.fullmatch(bare.casefold())
    return _is_variable(found) and not is_code(value, "") and len(bare) >= 6 and not bare.isupper()


def _is_random(value: str) -> bool:
    """Tell whether a value is long and mixed enough to be a key."""
    # What costs least comes first.
    if len(value) < 12 or len(set(value)) < 8 or not _KEY_LETTERS.fullmatch(value):
        return False
    parts = value.translate(_SPACED).split()
    if max(map(len, parts), default=0) < 10:
        return False
    digits = value.translate(_KINDS).count("d")
    if not (len(value) >= 20 and changes(value) >= len(value) * (0.33 if digits else 0.42)) and (
        digits < 2 or value.isdigit() or _NUMBERED.fullmatch(value)
    ):
        return False
    words = sum(len(part) for part in parts if part.isalpha() and (part.islower() or part.istitle()))
    return words * 2 <= len(value)


def _kind(code: int) -> str:
    sign = chr(code)
    return "d" if sign.isdigit() else "u" if sign.isupper() else "l"


class _Kinds(dict[int, str]):
    """Kinds of letters by their code points: `d` for digits, `u` for capitals (upper case), `l` for all others."""

    def __missing__(self, code: int) -> str:
        return _kind(code)


_KINDS = _Kinds({code: _kind(code) for code in range(128)})


def changes(word: str) -> int:
    """Count the places where letters of one kind meet another: capitals, small letters, digits."""
    kinds = word.translate(_KINDS)
    return sum(map(kinds.count, ("du", "dl", "ud", "ul", "ld", "lu")))


def _in_addresses(text: str) -> Iterator[Named]:
    """Users with their passwords in addresses: `postgres://app:hunter22@db.internal/x`."""
    for found in _ADDRESS.finditer(text):
        value, user, host = unquote(found["bare"]), found["user"], found["host"]
        if is_placeholder(value) or value.casefold() == user.casefold() or (value.isdigit() and len(value) < 6):
            continue
        mixed = any(sign.isdigit() for sign in value) or bool(_STRANGE.search(value)) or value.casefold() != value
        if len(value) < 4 or (not mixed and (_EXAMPLE_HOSTS.fullmatch(host) or len(value) < 6)):
            continue
        if re.fullmatch(r"[A-Z_]+", value) or "{" in value or "(" in value or value[0] == "$" or user.startswith("["):
            continue
        yield Named(found.start("user"), found.end("bare"), "password", value)


def _in_headers(text: str) -> Iterator[Named]:
    for found in _HEADER.finditer(text):
        value = found["bare"]
        mixed = any(sign.isdigit() for sign in value) or (value.lower() != value and value.upper() != value)
        if (
            mixed
            and not is_placeholder(value)
            and not is_code(value, "")
            and len(set(value)) >= 8
            and not re.fullmatch(r"[A-Za-z]+(?:[-/.][A-Za-z]+)*", value)
        ):
            yield Named(*found.span("bare"), "authorization", found["bare"])
    for found in _BASIC.finditer(text):
        if _is_basic(found["bare"]):
            yield Named(*found.span("bare"), "authorization", found["bare"])


def _is_basic(value: str) -> bool:
    try:
        said = b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (Error, ValueError):
        return False
    user, colon, password = said.partition(":")
    return bool(colon) and said.isprintable() and len(password) >= 3 and not is_placeholder(password) and bool(user)
