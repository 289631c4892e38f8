"""Configuration of MCP hosts for this server: where their files are, and what to write into them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from memhost.errors import ConfigurationError

NAME = "memhost"


class HostFile(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration file of a host.

    Attributes:
        title: The host's name.
        path: Its file; `~` is the home folder, a relative path lies in the project.
        key: Key of the servers in it.
        typed: Whether entries name their transport.
        remote: Whether it connects to addresses; otherwise a bridge does.
    """

    title: str
    path: str
    key: str = "mcpServers"
    typed: bool = False
    remote: bool = True


def _claude_desktop() -> str:
    if sys.platform == "darwin":
        return "~/Library/Application Support/Claude/claude_desktop_config.json"
    if sys.platform == "win32":
        return str(Path(os.environ.get("APPDATA", "~")) / "Claude" / "claude_desktop_config.json")
    return "~/.config/Claude/claude_desktop_config.json"


HOSTS: dict[str, HostFile] = {
    "claude": HostFile(title="Claude Desktop", path=_claude_desktop(), remote=False),
    "claude-code": HostFile(title="Claude Code (project)", path=".mcp.json", typed=True),
    "cursor": HostFile(title="Cursor", path="~/.cursor/mcp.json"),
    "vscode": HostFile(title="VS Code (project)", path=".vscode/mcp.json", key="servers", typed=True),
    "windsurf": HostFile(title="Windsurf", path="~/.codeium/windsurf/mcp_config.json", remote=False),
}
ALIASES = {"claude-desktop": "claude", "vs-code": "vscode"}


def entry(host: HostFile, *, url: str | None, token: str | None, options: list[str]) -> dict[str, Any]:
    """Return the host's entry: a command to start, or an address to connect to."""
    if url and host.remote:
        found: dict[str, Any] = {"type": "http"} if host.typed else {}
        found["url"] = url
        if token:
            found["headers"] = {"Authorization": f"Bearer {token}"}
        return found
    args = ["mcp", *(["--url", url] if url else []), *options]
    found = {"type": "stdio"} if host.typed else {}
    found |= {"command": _command(), "args": args}
    if token:
        found["env"] = {"MEMHOST_TOKEN": token}
    return found


def _command() -> str:
    """The command with its full path: hosts start without the shell's search path."""
    here = Path(sys.argv[0]).absolute()
    return str(here) if here.name.startswith("memhost") and here.exists() else "memhost"


def document(host: HostFile, content: dict[str, Any], name: str = NAME) -> dict[str, Any]:
    """The part of the host's file that tells about the server."""
    return {host.key: {name: content}}


def merge(path: Path, part: dict[str, Any]) -> bool:
    """Put the part into the file, beside what is there; whether the file was changed.

    The old file is kept beside it, with `.bak` at the end.

    Raises:
        ConfigurationError: The file is not plain JSON, or cannot be written.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        content = json.loads(text or "{}")
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not plain JSON ({error}); nothing was changed. Add the printed part yourself."
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} does not contain a JSON object; nothing was changed.")
    key, servers = next(iter(part.items()))
    merged = {**content, key: {**content.get(key, {}), **servers}}
    if merged == content:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.with_name(path.name + ".bak").write_text(text, encoding="utf-8")
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(merged, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    return True
