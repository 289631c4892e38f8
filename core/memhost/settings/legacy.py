"""Agent Memory Server's older switches of authentication; nothing opens by accident."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memhost.settings.sources import Given, Reading, Variables
from memhost.settings.values import FALSE, TRUE

_OPEN = ("none", "disabled")
_MODES = ("AUTH", "MEMHOST_AUTH", "AUTH_MODE", "MEMHOST_AUTH_MODE")
_ISSUER = ("JWT_ISSUER", "MEMHOST_JWT_ISSUER", "OAUTH2_ISSUER_URL", "auth.jwt.issuer")
_TOKENS = ("AUTH_TOKENS", "AUTH_TOKENS_FILE", "auth.token.tokens")
_PARTS = ("OAUTH2_AUDIENCE", "OAUTH2_JWKS_URL", "auth.jwt.audience", "auth.jwt.jwks_url", "auth.token.key")
"""Variables, and paths of settings, that tell whom to let in, or are of no use without such."""


def legacy_auth(given: Mapping[str, Given], sources: tuple[Variables, ...], reading: Reading) -> Given | None:
    """Derive the mode from `DISABLE_AUTH`, `TOKEN_AUTH_ENABLED` and credentials; None changes nothing.

    Who sets an issuer or tokens and names no mode gets the one that uses them. A contradiction is a problem, and
    `DISABLE_AUTH=false` without anything that says how to authenticate too. `DISABLE_AUTH=true` counts as nothing
    said: many copied files contain it (it is Agent Memory Server's default), so it opens loopback
    addresses and no others.

    Args:
        given: What the sources say about settings, by path; the mode is `server.auth`.
        sources: Variables, the strongest source first.
        reading: Where problems go.
    """
    mode = given.get("server.auth")
    disabled = _switch("DISABLE_AUTH", sources, reading)
    tokens = _switch("TOKEN_AUTH_ENABLED", sources, reading)
    if tokens is not None and not _on(tokens):
        tokens = None
    if disabled is not None and _on(disabled):
        _check_switched_off(mode, tokens, reading)
        if unused := _first((*_ISSUER, *_TOKENS), given, sources):
            reading.warnings.append(f"{unused.name} is not used, because DISABLE_AUTH is true.")
        return None
    if mode is not None:
        _check_open(mode, disabled or tokens, given, sources, reading)
        return None
    if tokens is not None:
        return Given("token", tokens.source, tokens.name)
    return _configured(disabled, given, sources, reading)


def _configured(
    disabled: Given | None, given: Mapping[str, Given], sources: tuple[Variables, ...], reading: Reading
) -> Given | None:
    issuer, own = _first(_ISSUER, given, sources), _first(_TOKENS, given, sources)
    if issuer is not None and own is not None:
        reading.problems.append(
            f"{issuer.name} and {own.name} are both set: choose one with AUTH=jwt or AUTH=token, or use both with "
            "AUTH=token,jwt."
        )
    elif issuer is not None:
        return Given("jwt", issuer.source, issuer.name)
    elif own is not None:
        return Given("token", own.source, own.name)
    elif disabled is not None:
        reading.problems.append(
            "DISABLE_AUTH is false, but no authentication provider is configured: set AUTH to token or jwt."
        )
    elif part := _first(_PARTS, given, sources):
        reading.problems.append(
            f"{part.name} is set, but no authentication provider is configured: set AUTH to token or jwt, or remove "
            "the setting."
        )
    return None


def _check_switched_off(mode: Given | None, tokens: Given | None, reading: Reading) -> None:
    rival = mode if mode is not None and not _opens(mode.raw) else tokens
    if rival is not None:
        reading.problems.append(f"DISABLE_AUTH is true, but {rival.name} requires authentication; remove one of them.")


def _check_open(
    mode: Given, switch: Given | None, given: Mapping[str, Given], sources: tuple[Variables, ...], reading: Reading
) -> None:
    """Refuse a mode that admits everyone beside other modes."""
    if not _opens(mode.raw):
        return
    rival = switch or _first((*_ISSUER, *_TOKENS), given, sources) or _other_mode(mode, sources)
    if rival is not None:
        reading.problems.append(
            f"{mode.name} switches authentication off, but {rival.name} requires it; remove one of them."
        )


def _other_mode(mode: Given, sources: tuple[Variables, ...]) -> Given | None:
    """A name of the mode that asks for authentication, in the source that lets everybody in by another name."""
    for variables in sources:
        found = {name: value for name in _MODES if (value := variables.get(name)) is not None}
        if mode.name in found:
            rivals = [Given(value, variables.source(name), name) for name, value in found.items() if not _opens(value)]
            return next(iter(rivals), None)
    return None


def _opens(value: object) -> bool:
    return str(value).strip().lower() in _OPEN


def _first(names: Iterable[str], given: Mapping[str, Given], sources: tuple[Variables, ...]) -> Given | None:
    """The first of the variables, or settings by path, that has a value."""
    for name in names:
        if found := given.get(name) or _flag(name, sources):
            return found
    return None


def _switch(name: str, sources: tuple[Variables, ...], reading: Reading) -> Given | None:
    found = _flag(name, sources)
    if found is not None and str(found.raw).strip().lower() not in TRUE | FALSE:
        reading.problems.append(f"{name} is '{found.raw}', but must be true or false.")
    return found


def _flag(name: str, sources: tuple[Variables, ...]) -> Given | None:
    for variables in sources:
        value = variables.get(name)
        if value is not None:
            return Given(value, variables.source(name), name)
    return None


def _on(given: Given) -> bool:
    return str(given.raw).strip().lower() in TRUE
