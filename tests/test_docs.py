"""The documentation, checked against the code."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import httpx
import pytest
from tools import architecture

from memhost import hookspecs
from memhost.cli import cli
from memhost.cli.root import LazyGroup
from memhost.cli.server.demo import plain_environment
from memhost.plugins import PluginManager
from tests.support.fakes import with_bundled
from tests.support.hosts import run, running_host

ROOT = Path(__file__).parents[1]
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("memhost_"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/README.md")]
DOCUMENTS = sorted([*PAGES, *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
COMMAND_LINE = LazyGroup("memhost")
INVENTED = ("memhost_session_deleted", "memhost_pipeline_idle", "tests/plugins/pipelines/test_idle.py")
"""What pages of `docs/contributing` add as an example, and memhost does not have."""


def test_documented_hooks_exist() -> None:
    for path in DOCUMENTS:
        if path.name == "metrics.md":  # names metrics, which begin alike
            continue
        named = set(
            re.findall(r"\bmemhost_(?:before|after|session|memories|view|schedule)_?[a-z_]+\b", path.read_text())
        )
        known = {*HOOKS, *(INVENTED if path.parent.name == "contributing" else ())}
        assert named <= known, f"{path.name}: {named - known}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_exist(path: Path) -> None:
    text = path.read_text()
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in headings(page), f"{target}#{anchor}"
    for target in re.findall(r"`((?:core|plugins|tests|bench|docs|tools)/[\w./-]+\.\w+)`", text):
        invented = path.parent.name == "contributing" and any(name in target for name in INVENTED)
        assert (ROOT / target).exists() != invented, target


def headings(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    lines = re.sub(r"(?ms)^```.*?^```", "", page.read_text()).splitlines()
    titles = [line.lstrip("#").strip().lower() for line in lines if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


SUBJECTS = (
    "auth",
    "benchmarks",
    "context",
    "hits",
    "mcp",
    "memory_forms",
    "metrics",
    "search",
    "sessions",
    "settings",
    "strategies",
    "summaries",
)


@pytest.mark.parametrize("name", SUBJECTS)
def test_pages_of_subjects_name_functions_that_exist(name: str) -> None:
    """The paragraph that begins with "In the code" has names with the module that defines them."""
    code = re.findall(r"(?ms)^In the code.*?(?:^$|\Z)", (ROOT / "docs" / f"{name}.md").read_text())
    assert len(code) == 1
    text = " ".join(code[0].split())
    pairs = re.findall(r"((?:`[\w.]+`(?:, | and )?)+) \(`([\w/]+\.py)`\)", text)
    assert len(pairs) == len(re.findall(r"\.py`", text)) > 0
    for names, module in pairs:
        path = ROOT / module if module.startswith("plugins/") else ROOT / "core" / "memhost" / module
        named = set(re.findall(r"`([\w.]+)`", names))
        classes = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}
        assert named <= classes | architecture.functions_of(path), module


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_documentation_exist_with_their_options(path: Path) -> None:
    for line in commands_in(path.read_text()):
        words = line.split()
        for name in words[0].replace("\\|", "|").split("|"):
            if name.startswith("-"):
                continue
            found = COMMAND_LINE.get_command(click.Context(cli), name)
            assert found is not None, f"memhost {line}"
            options = words[1:]
            if isinstance(found, click.Group) and options and re.match(r"[a-z]", options[0]):
                subcommands = [found.get_command(click.Context(found), each) for each in re.split(r"\\?\|", options[0])]
                assert None not in subcommands, f"memhost {line}"
                commands = [found, *filter(None, subcommands)]
            else:
                commands = [found]
            parameters = [parameter for each in commands for parameter in each.params]
            known = {"--help", "-h", *(name for each in parameters for name in (*each.opts, *each.secondary_opts))}
            asked = {word.split("=")[0].rstrip(".,;:") for word in options if re.match(r"--?[a-z]", word)}
            assert asked <= known, f"memhost {line}: {asked - known}"


def commands_in(text: str) -> list[str]:
    """What stands behind `memhost` in code, up to a comment or another command; in blocks only where a line begins."""
    blocks = re.findall(r"(?ms)^```(?:console|sh)\n(.*?)^```", text)
    rest = re.sub(r"(?ms)^```.*?^```", "", text)
    lines = [
        line for block in blocks for line in re.findall(r"(?m)^(?:\$ )?(?:[A-Z_]+=\S+ )*memhost ([a-z-].*)$", block)
    ]
    lines += re.findall(r"`(?:[A-Z_]+=[^`\s]+ )*memhost ([^`]+)`", rest)
    return [re.split(r"\s#|[;&]| \| ", line)[0] for line in lines]


def test_nothing_is_promised_that_is_not_published() -> None:
    """memhost is on no package index: what installs it by its name does not work."""
    sources = [path for folder in ("core", "plugins", "deploy", "tools") for path in (ROOT / folder).rglob("*")]
    for path in [*DOCUMENTS, *(path for path in sources if path.suffix in (".py", ".service", ".yaml", ".toml"))]:
        for line in path.read_text().splitlines():
            assert not re.search(r"pip3? install [^`\n]*?(?<![\w./-])memhost(?![\w-])", line), f"{path.name}: {line}"


def test_the_map_of_the_tests_has_every_support_module_once() -> None:
    table = (ROOT / "tests" / "README.md").read_text().partition("## Support modules")[2]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.M)
    modules = [path.stem for path in (ROOT / "tests" / "support").glob("*.py") if path.stem != "__init__"]
    assert listed == sorted(modules)


VALUES = {
    "EXTRACTION_MIN_CONFIDENCE",
    "duplicate",
    "facets",
    "halfvec",
    "pgvector",
    "redis",
    "semantic",
    "sqlite",
    "suspicious",
}


def test_names_on_the_page_of_memory_forms_are_in_the_code() -> None:
    """Classes, functions, fields, operations and tools; so a rename in the code must reach the page."""
    page = (ROOT / "docs" / "memory_forms.md").read_text().partition("## Times that clients give")[0]
    folders = (ROOT / "core", ROOT / "plugins", ROOT / "examples" / "pgvector-store" / "src")
    code = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    defined = set(re.findall(r"^\s*(?:class|(?:async )?def) (\w+)", code, re.M))
    fields = set(re.findall(r"^\s*(\w+):", code, re.M))
    operations = set(re.findall(r"[\"'](\w+_\w+)[\"']", code))
    named = {name for words in re.findall(r"`([\w.]+)`", page) for name in words.split(".")}
    assert len(named & defined) > 40
    assert named <= defined | fields | operations | VALUES


def test_the_readme_links_every_example_and_no_page_twice() -> None:
    links = re.findall(r"^- .*|^  \[.*", README, re.M)
    targets = re.findall(r"\]\(([^)#]+)\)", "\n".join(links))
    assert len(targets) == len(set(targets))
    examples = [each.parent.name for each in (ROOT / "examples").glob("*/README.md")]
    assert {f"examples/{name}/README.md" for name in examples} <= set(targets)


class Started(NamedTuple):
    """A server as README starts it, and what it said then."""

    url: str
    said: str


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("readme")
    command = [sys.executable, "-m", "memhost", "serve", "--port", "0"]
    environment = {**plain_environment(), "HOME": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            for line in process.stderr:
                if re.match(r"\d\d:\d\d:\d\d ", line):  # a line of the log: a busy machine may hold the start up
                    continue
                said += line
                if line.strip().startswith("Stop"):
                    break
            yield Started(said.splitlines()[0].split()[-1], said.replace(str(folder), "~"))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def test_the_start_message_is_what_the_readme_shows(started: Started) -> None:
    (shown,) = re.findall(r"\$ make run\n(memhost .*?)```", README, re.S)
    said = as_named(started.said).replace(started.url, "http://127.0.0.1:8000")
    assert [line.split() for line in said.splitlines()] == [line.split() for line in shown.splitlines()]


def as_named(text: str) -> str:
    """What was printed, with commands by their name, as with the environment activated."""
    return text.replace(f"{sys.executable} -m memhost", "memhost")


def test_examples_of_the_readme_answer_as_printed_however_often_they_are_run(started: Started, tmp_path: Path) -> None:
    code, printed = re.findall(r"```python\n(import asyncio\n.*?)```\n\n```\n(.*?)```", README, re.S)[0]
    (tmp_path / "example.py").write_text(code.replace("http://127.0.0.1:8000", started.url))
    curl, answer = re.findall(r"\$ (curl -s \S+/v1/long-term-memory/search.*?)\n(\"text.*?)\n```", README, re.S)[0]
    for _ in range(2):
        ran = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert undated(ran.stdout) == undated(printed)
        assert asked(curl.replace("localhost:8000", started.url)) == answer


def undated(text: str) -> list[str]:
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", line) for line in text.strip().splitlines()]


def asked(curl: str) -> str:
    """What the printed line answers, by curl and grep where they are, else by what they do."""
    if shutil.which("curl") and shutil.which("grep"):
        done = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True)
        return done.stdout.strip()
    words = shlex.split(curl)
    headers = dict([words[words.index("-H") + 1].split(": ", 1)])
    answer = httpx.post(words[2], headers=headers, content=words[words.index("-d") + 1])
    return "\n".join(re.findall(words[-1], answer.text))


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
