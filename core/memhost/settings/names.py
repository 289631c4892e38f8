"""Warnings about environment variables that nothing reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from memhost.settings.fields import PREFIX, Setting
from memhost.settings.known import (
    AUTH_VARIABLES,
    CONFIG_FILE_VARIABLES,
    NOT_USED,
    OWN_OTHERS,
    PROVIDER_VARIABLES,
    SILENT,
)
from memhost.settings.sources import Reading, Variables, suggest

_LIKENESS = 0.88
_TABLES = ("STRATEGIES_", "EXTRACTION_")
"""Beginnings of names that other programs hardly use: those of tables of the configuration file."""
_SHORTEST = 7
"""Short names resemble too many others to be guessed at."""


def check_variables(variables: Variables, known: tuple[Setting, ...], reading: Reading) -> None:
    """Warn about variables that look like ours but are not, and about those not used."""
    ours = {name for setting in known for name in setting.env}
    others = PROVIDER_VARIABLES | SILENT | OWN_OTHERS | set(CONFIG_FILE_VARIABLES) | set(AUTH_VARIABLES)
    for given in sorted(variables.names()):
        name = given.removesuffix("_FILE") if given not in ours else given
        if name in ours or given in others or name in others:
            continue
        if name in NOT_USED:
            reading.warnings.append(f"{given} is not used by this version.")
        elif given.startswith(PREFIX):
            reading.warnings.append(f"{given} is not a setting.{suggest(given, ours)}")
        else:
            near = _by_path(given, known) or _near(given, ours | NOT_USED)
            if near:
                reading.warnings.append(f"{given} is not a setting. Did you mean {near}?")
            elif given.startswith(_TABLES):
                reading.warnings.append(f"{given} is not a setting.{suggest(given, ours)}")


def _by_path(name: str, known: tuple[Setting, ...]) -> str | None:
    """The setting of the host whose table and name in the file are those of the variable: `EXTRACTION_TOP_K_TOPICS`."""
    paths = {setting.path.upper().replace(".", "_"): setting.own[1] for setting in known if not setting.by_path}
    return None if name.startswith("SERVER_") else paths.get(name)


def _near(name: str, ours: Iterable[str]) -> str | None:
    if len(name) < _SHORTEST:
        return None
    rivals = [
        known
        for known in ours
        if not known.startswith(PREFIX) and len(known) >= _SHORTEST and abs(len(known) - len(name)) <= 2
    ]
    close = difflib.get_close_matches(name, rivals, n=1, cutoff=_LIKENESS)
    return close[0] if close else None
