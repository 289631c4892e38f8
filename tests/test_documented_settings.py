"""Every setting that the documentation names exists, and the server reads it as the examples write it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from memhost.errors import ConfigurationError
from memhost.plugins.manager import PluginManager
from memhost.settings import Configuration, load_configuration
from memhost.settings.fields import SectionTypes, Setting
from memhost.settings.known import (
    AUTH_VARIABLES,
    CONFIG_FILE_VARIABLES,
    NOT_USED,
    OWN_OTHERS,
    PROVIDER_VARIABLES,
    SILENT,
)
from memhost.settings.loading import all_settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
OTHERS = {*AUTH_VARIABLES, *CONFIG_FILE_VARIABLES, *OWN_OTHERS, *PROVIDER_VARIABLES, *SILENT, *NOT_USED}
NOT_OURS = {"TIKTOKEN_CACHE_DIR", "NAME_FILE", "NOT_PREFIX"}
"""A variable of a library that memhost uses, a placeholder, and a constant that a page has readers add."""
OF_EXAMPLES = re.compile(r"ACME_[A-Z]+")
"""Settings of the plugin that the pages write."""
OF_MAKE = {"ARGS", "NEWEST", "CANDIDATES"}
"""Variables of `make` and of the measurements' own commands."""
NAMED = re.compile(r"(?<![\w$./:{-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w(])")
WRITTEN = re.compile(r"(?<![\w$./{-])(?P<name>[A-Z][A-Z0-9_]{2,})=(?P<value>'[^']*'|\"[^\"]*\"|[^\s`\"'),;]*)")


@cache
def sections() -> SectionTypes:
    return PluginManager.load().sections()


@cache
def known() -> tuple[Setting, ...]:
    return all_settings(sections())


@cache
def variables() -> dict[str, Setting]:
    return {name: setting for setting in known() for name in setting.env}


@cache
def constants() -> frozenset[str]:
    """Names of constants in the code, which pages for authors mention."""
    files = [path for folder in ("core", "plugins", "tests") for path in (ROOT / folder).rglob("*.py")]
    found = (re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", path.read_text("utf-8")) for path in files)
    return frozenset(name for names in found for name in names)


def is_setting(name: str) -> bool:
    name = name.upper()
    return name in variables() or name in OTHERS or name.removesuffix("_FILE") in variables()


def read(environ: dict[str, str], folder: Path) -> Configuration:
    return load_configuration(
        environ={"DATA_DIR": str(folder), **environ}, env_file=None, sections=sections(), lenient=True
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_settings_on_the_pages_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    authors = page.parts[-2] in ("contributing", "hooks", "ports", "contexts", "reference") or page.stem in (
        *("plugins", "architecture", "memory_forms", "development"),
    )
    unknown = {
        name
        for name in NAMED.findall(text)
        if not is_setting(name) and name not in NOT_OURS and not OF_EXAMPLES.fullmatch(name)
        and not (authors and name in constants())
    }  # fmt: skip
    assert unknown == set()


EXAMPLES = sorted(
    {
        (str(page.relative_to(ROOT)), match["name"], match["value"].strip("'\""))
        for page in PAGES
        for match in WRITTEN.finditer(page.read_text("utf-8"))
        if match["name"] not in {*OF_MAKE, *NOT_OURS, "NAME", "FIELD"} and not OF_EXAMPLES.fullmatch(match["name"])
    }
)


def test_the_pages_have_examples() -> None:
    assert len(EXAMPLES) >= 40


@pytest.mark.parametrize(("page", "name", "value"), EXAMPLES)
def test_the_server_reads_what_the_examples_set(page: str, name: str, value: str, tmp_path: Path) -> None:
    if name in SILENT or name in AUTH_VARIABLES or name in OWN_OTHERS or name in PROVIDER_VARIABLES:
        return
    setting = variables().get(name) or variables()[name.removesuffix("_FILE")]
    if name not in variables():
        (tmp_path / "value").write_text("secret")
        value = str(tmp_path / "value")
    elif value in ("", "{") or value.startswith(("<", "$")) or "…" in value or "..." in value:
        return  # a placeholder
    beside = {} if setting.path == "server.auth" else {"AUTH": "token,jwt"}  # which providers' settings need
    read_as = read({**beside, name: value}, tmp_path)
    assert read_as.sources[setting.path].startswith(f"environment {name.removesuffix('_FILE')}"), page
    assert [line for line in read_as.warnings if name in line] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_on_the_pages_are_read(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text("utf-8"))):
        if "[project" in block or "[build-system" in block:
            continue
        file = tmp_path / f"{number}.toml"
        file.write_text(block)
        load_configuration(environ={}, env_file=None, config_file=file, sections=sections(), lenient=True)


@pytest.mark.parametrize("setting", [each for each in known() if each.by_path], ids=lambda each: each.path)
def test_settings_of_plugins_are_read_by_their_path(setting: Setting, tmp_path: Path) -> None:
    default = setting.default
    value = str(default).lower() if isinstance(default, bool | int | float) else "x"
    try:
        given = read({setting.by_path[1]: value}, tmp_path)
    except ConfigurationError as error:
        assert setting.by_path[1] in str(error)  # noqa: PT017  # read, and the value is not one
        return
    assert given.sources[setting.path] == f"environment {setting.by_path[1]}"


def test_instructions_of_a_strategy_are_read_by_both_names(tmp_path: Path) -> None:
    for name in (
        "DISCRETE_INSTRUCTIONS",
        "STRATEGIES_DISCRETE_INSTRUCTIONS",
        "MEMHOST_STRATEGIES_DISCRETE_INSTRUCTIONS",
    ):
        given = read({name: "Note allergies."}, tmp_path)
        assert given.section("strategies", "discrete").instructions == "Note allergies."  # type: ignore[attr-defined]
        assert not any(name in line for line in given.warnings)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("STRATEGIES_DISCRETE_INSTRUCTION", "Did you mean STRATEGIES_DISCRETE_INSTRUCTIONS?"),
        ("STRATEGIES_DISKRETE_INSTRUCTIONS", "Did you mean STRATEGIES_DISCRETE_INSTRUCTIONS?"),
        ("STRATEGIES_NOTHING", "is not a setting."),
        ("MEMHOST_DISCRETE_INSTRUCTION", "Did you mean MEMHOST_DISCRETE_INSTRUCTIONS?"),
        ("DISCRETE_INSTRUCTION", "Did you mean DISCRETE_INSTRUCTIONS?"),
        ("EXTRACTION_DEBOUNCE_SECOND", "Did you mean EXTRACTION_DEBOUNCE_SECONDS?"),
        ("MEMORY_INDEX_ALL_MESSAGES", "Did you mean INDEX_ALL_MESSAGES?"),
        ("EXTRACTION_TOP_K_TOPICS", "Did you mean TOP_K_TOPICS?"),
        ("EXTRACTION_NOTHING_AT_ALL", "is not a setting."),
    ],
)
def test_unknown_names_are_told_with_the_nearest_one(name: str, told: str, tmp_path: Path) -> None:
    (line,) = [line for line in read({name: "x"}, tmp_path).warnings if line.startswith(name)]
    assert told in line


@pytest.mark.parametrize("name", ["PATH", "HOME", "SERVER_PORT", "AUTH_SECRET", "STORAGE_BUCKET", "SEARCH_URL", "LANG"])
def test_names_of_others_are_nothing_to_tell(name: str, tmp_path: Path) -> None:
    assert not any(name in line for line in read({name: "x"}, tmp_path).warnings)
