"""The documentation, checked against the code."""

from __future__ import annotations

import re
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from memhost import hookspecs
from memhost.cli.root import ANNOUNCED, COMMANDS
from memhost.plugins import PluginManager
from tests.support.fakes import with_bundled
from tests.support.hosts import run, running_host

ROOT = Path(__file__).parents[1]
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("memhost_"))
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_documented_hooks_exist() -> None:
    for path in DOCUMENTS:
        if path.name == "metrics.md":  # names metrics, which begin alike
            continue
        named = set(
            re.findall(r"\bmemhost_(?:before|after|session|memories|view|schedule)_?[a-z_]+\b", path.read_text())
        )
        assert named <= set(HOOKS), f"{path.name}: {named - set(HOOKS)}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"`((?:core|plugins|tests|bench|docs|tools)/[\w./-]+\.\w+)`", text):
        assert (ROOT / target).exists(), target


def test_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`memhost (\w+)", text))
    assert named <= {*COMMANDS, *entry_points(group=ANNOUNCED).names}


async def test_example_hook_of_the_readme_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(from memhost import hookimpl\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code is not None
    (tmp_path / "acme_memory.py").write_text(textwrap.dedent(code.group(1)))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = type(with_bundled()[0])(name="acme", value="acme_memory", group="memhost")
    manager = PluginManager.load(entry_points=[*with_bundled(), point])
    monkeypatch.setattr("tests.support.hosts.PluginManager.load", lambda **_: manager)
    async with running_host(tmp_path) as host:
        memories = [
            {"id": "a", "text": "the plan of the garden", "topics": ["confidential"]},
            {"id": "b", "text": "the plan of the holiday"},
        ]
        await run(host, "create_memories", memories=memories)
        found = await run(host, "search_memories", text="plan")
        assert [hit.id for hit in found.memories] == ["b"]
