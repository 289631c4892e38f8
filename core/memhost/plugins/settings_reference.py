"""The reference table of all settings, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from memhost.settings.fields import HOST_SECTIONS, SectionTypes, Setting
from memhost.settings.loading import all_settings
from memhost.settings.values import expectation, plain

if TYPE_CHECKING:
    from memhost.plugins import PluginManager

_OWN_DISTRIBUTION = "memhost"

_INTRODUCTION = """\
# Settings

<!-- Written by `memhost config reference > docs/settings.md`; a test compares. Do not edit. -->

A value comes from the first of these that gives one: a command-line option, the environment, `.env`
in the working directory, the configuration file, the default. `memhost config show` lists every value
with its source, `memhost config check` says what is wrong.

- **File**: TOML, JSON or YAML (with PyYAML), named by `--config` or `CONFIG_FILE`, or `memhost.toml`
  in the working directory. The headings below are its tables. Unknown names are errors.
- **Environment**: the names below; the first of each also works with the prefix `MEMHOST_`, and of a plugin's
  setting the path in the file as well: `STRATEGIES_DISCRETE_INSTRUCTIONS` is `DISCRETE_INSTRUCTIONS`. Upper and
  lower case are the same, and an empty variable counts as not set. Lists are separated by commas or
  written as JSON. `NAME_FILE` names a file that holds the value, for secrets.
- Where a setting's own name and another name for it (such as one of Agent Memory Server) differ, the
  own name counts and a warning says so. Two own names, or two others, that differ are an error.

In the code: `Settings` (`settings/schema.py`) has the settings with their descriptions, `load_configuration`
(`settings/loading.py`) and `pick` (`settings/sources.py`) read them; a plugin's are in its own struct.
"""


def bundled_sections(plugins: PluginManager) -> dict[tuple[str, str], type[msgspec.Struct]]:
    """Settings structs of the plugins that memhost itself ships."""
    from memhost.plugins import SECTIONS

    return {
        (section, entry.spec.name): entry.spec.settings
        for attribute, section in SECTIONS.items()
        for entry in getattr(plugins, attribute)
        if entry.distribution == _OWN_DISTRIBUTION
    }


def render_reference(sections: SectionTypes) -> str:
    """The reference of the host's settings and those of the given plugin sections."""
    parts = [_INTRODUCTION]
    current = ""
    for setting in all_settings(sections):
        if setting.section != current:
            current = setting.section
            parts.append(_heading(current))
        parts.append(_row(setting))
    return "\n".join(parts).replace("|\n\n|", "|\n|") + "\n"


def _heading(section: str) -> str:
    head = "" if section in HOST_SECTIONS else " (plugin)"
    columns = "| setting | environment | default | meaning |\n| --- | --- | --- | --- |"
    return f"\n## `[{section}]`{head}\n\n{columns}"


def _row(setting: Setting) -> str:
    names = ", ".join(f"`{name}`" for name in (setting.own[1], *setting.aliases))
    meaning = setting.description
    accepted = expectation(setting.shape)
    if accepted not in ("", "text", "a whole number", "a number"):
        meaning = f"{meaning} {accepted[0].upper()}{accepted[1:]}."
    cells = (f"`{setting.name}`", names, _default(setting), meaning.strip())
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    value: Any = plain(setting.default)
    if value is None or value == "":
        return "none"
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"`{shown}`"
