"""Agent Memory Server's older switches of authentication; nothing opens by accident."""

from __future__ import annotations

from memhost.settings.sources import Given, Reading, Variables

_TRUE = ("1", "true", "t", "yes", "y", "on")
_OPEN = ("none", "disabled")


def legacy_auth(mode: Given | None, sources: tuple[Variables, ...], reading: Reading) -> Given | None:
    """What `DISABLE_AUTH`, `TOKEN_AUTH_ENABLED` and credentials that are set make of the mode; None leaves it as it is.

    Who sets an issuer or tokens and names no mode gets the one that uses them. A contradiction is a problem, and
    `DISABLE_AUTH=false` without anything that says how to authenticate too. `DISABLE_AUTH=true` counts as nothing
    said: it stands in many files that were copied (it is Agent Memory Server's default), so it opens loopback
    addresses and no others.

    Args:
        mode: The plugin that the operator named, if any.
        sources: Variables, the strongest source first.
        reading: Where problems go.
    """
    disabled = _flag("DISABLE_AUTH", sources)
    tokens = _flag("TOKEN_AUTH_ENABLED", sources)
    open_mode = mode is not None and str(mode.raw).strip().lower() in _OPEN
    if disabled is not None and _on(disabled):
        _check_switched_off(mode, open_mode, tokens, reading)
        return None
    if tokens is not None and not _on(tokens):
        tokens = None
    if mode is not None:
        switch = disabled or tokens
        if open_mode and switch is not None:
            reading.problems.append(f"{mode.name} switches authentication off but {switch.name} asks for it; drop one.")
        return None
    if tokens is not None:
        return Given("token", tokens.source, tokens.name)
    return _configured(disabled, sources, reading)


def _configured(disabled: Given | None, sources: tuple[Variables, ...], reading: Reading) -> Given | None:
    issuer = _flag("OAUTH2_ISSUER_URL", sources)
    own = _flag("AUTH_TOKENS", sources) or _flag("AUTH_TOKENS_FILE", sources)
    if issuer is not None and own is not None:
        reading.problems.append(
            f"{issuer.name} and {own.name} are both set: say with AUTH=jwt or AUTH=token which to use, or use both "
            "with AUTH=token,jwt."
        )
    elif issuer is not None:
        return Given("jwt", issuer.source, issuer.name)
    elif own is not None:
        return Given("token", own.source, own.name)
    elif disabled is not None:
        reading.problems.append(
            "DISABLE_AUTH is false, but nothing says how callers are authenticated: set AUTH to token or jwt."
        )
    return None


def _check_switched_off(mode: Given | None, open_mode: bool, tokens: Given | None, reading: Reading) -> None:
    rival = tokens if tokens is not None and _on(tokens) else None
    if mode is not None and not open_mode:
        rival = mode
    if rival is not None:
        reading.problems.append(f"DISABLE_AUTH is true but {rival.name} asks for authentication; drop one of them.")


def _flag(name: str, sources: tuple[Variables, ...]) -> Given | None:
    for variables in sources:
        value = variables.get(name)
        if value is not None:
            return Given(value, variables.source(name), name)
    return None


def _on(given: Given) -> bool:
    return str(given.raw).strip().lower() in _TRUE
