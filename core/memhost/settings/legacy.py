"""Agent Memory Server's older switches of authentication; nothing opens by accident."""

from __future__ import annotations

from memhost.settings.sources import Given, Reading, Variables

_TRUE = ("1", "true", "t", "yes", "y", "on")
_OPEN = ("none", "disabled")


def legacy_auth(mode: Given | None, sources: tuple[Variables, ...], reading: Reading) -> Given | None:
    """What `DISABLE_AUTH` and `TOKEN_AUTH_ENABLED` make of the mode; None leaves it as it is.

    A contradiction is a problem, and `DISABLE_AUTH=false` without anything that says how to
    authenticate too.

    Args:
        mode: The plugin that the operator named, if any.
        sources: Variables, the strongest source first.
        reading: Where problems go.
    """
    disabled = _flag("DISABLE_AUTH", sources)
    tokens = _flag("TOKEN_AUTH_ENABLED", sources)
    open_mode = mode is not None and str(mode.raw).strip().lower() in _OPEN
    if disabled is None and tokens is None:
        return None
    if disabled is not None and _on(disabled):
        return _switched_off(disabled, mode, open_mode, tokens, reading)
    if open_mode and (disabled is not None or (tokens is not None and _on(tokens))):
        assert mode is not None
        switch = disabled or tokens
        assert switch is not None
        reading.problems.append(f"{mode.name} switches authentication off but {switch.name} asks for it; drop one.")
        return None
    if mode is not None:
        return None
    if tokens is not None and _on(tokens):
        return Given("token", tokens.source, tokens.name)
    if disabled is None:
        return None
    issuer = _flag("OAUTH2_ISSUER_URL", sources)
    if issuer is not None:
        return Given("jwt", issuer.source, issuer.name)
    reading.problems.append(
        "DISABLE_AUTH is false, but nothing says how callers are authenticated: set AUTH to token or jwt."
    )
    return None


def _switched_off(
    disabled: Given, mode: Given | None, open_mode: bool, tokens: Given | None, reading: Reading
) -> Given | None:
    rival = tokens if tokens is not None and _on(tokens) else None
    if mode is not None and not open_mode:
        rival = mode
    if rival is not None:
        reading.problems.append(f"DISABLE_AUTH is true but {rival.name} asks for authentication; drop one of them.")
        return None
    return Given("none", disabled.source, disabled.name) if mode is None else None


def _flag(name: str, sources: tuple[Variables, ...]) -> Given | None:
    for variables in sources:
        value = variables.get(name)
        if value is not None:
            return Given(value, variables.source(name), name)
    return None


def _on(given: Given) -> bool:
    return str(given.raw).strip().lower() in _TRUE
