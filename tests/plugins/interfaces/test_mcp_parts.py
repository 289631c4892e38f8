"""Small parts: the guard against foreign hosts, files of hosts, addresses of servers."""

from __future__ import annotations

import pytest

import memhost_mcp
from memhost.errors import InvalidRequest
from memhost.http.allowed_hosts import Guard, is_loopback
from memhost_mcp import McpSettings, commands
from memhost_mcp.bridge import endpoint
from memhost_mcp.hosts import HOSTS, document, entry


@pytest.mark.parametrize(
    ("host", "origin", "taken"),
    [
        ("localhost", "", True),
        ("LOCALHOST:8000", "", True),
        ("127.0.0.1:8000", "http://localhost:6274", True),
        ("[::1]:8000", "http://[::1]:9", True),
        ("192.168.1.5:8000", "http://192.168.1.5:8000", True),
        ("localhost.evil.com", "", False),
        ("127.0.0.1.evil.com", "", False),
        ("evil.com", "http://evil.com", False),
        ("", "", False),
        ("localhost", "http://evil.com", False),
        ("localhost", "null", False),
        ("memory.example.com", "https://app.example.com", True),
        ("memory.example.com:8443", "", True),
        ("memory.example.com", "https://other.example.com", False),
    ],
)
def test_an_open_server_answers_to_known_names_and_pages(host: str, origin: str, taken: bool) -> None:
    guard = Guard(["memory.example.com"], ["https://app.example.com/"], strict=True)
    assert (guard.refuses(host, origin) == "") is taken


def test_a_guarded_server_answers_to_any_name_but_not_to_any_page() -> None:
    guard = Guard([], [], strict=False)
    assert guard.refuses("memory.internal:8000", "") == ""
    assert guard.refuses("memory.internal", "https://memory.internal") == ""
    assert "CORS_ALLOWED_ORIGINS" in guard.refuses("memory.internal", "https://evil.com")
    assert "ALLOWED_HOSTS" in Guard(["a"], [], strict=False).refuses("b", "")
    assert Guard([], ["*"], strict=False).refuses("a", "https://b") == ""


def test_names_without_a_dot_are_the_own_network_s_where_that_may_call() -> None:
    assert Guard([], [], strict=True, short_names=True).refuses("memhost:8000", "") == ""
    assert Guard([], [], strict=True, short_names=True).refuses("", "")
    assert Guard([], [], strict=True).refuses("memhost:8000", "")


@pytest.mark.parametrize("origin", ["https://ab.example", "https://axb.example", "https://aab.example"])
def test_a_star_stands_for_a_part_of_an_origin(origin: str) -> None:
    assert Guard([], ["https://a*b.example"], strict=False).refuses("x", origin) == ""
    assert Guard([], ["https://a*ab.example"], strict=False).refuses("x", "https://ab.example")


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.9", "::1", "[::1]"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.example")


def test_address_of_the_endpoint() -> None:
    assert endpoint("http://a:1") == "http://a:1/mcp"
    assert endpoint("https://a/prefix/") == "https://a/prefix/mcp"
    assert endpoint("https://a/team/mcp") == "https://a/team/mcp"
    with pytest.raises(InvalidRequest):
        endpoint("a:8000")


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_every_host_gets_a_command_or_an_address(name: str) -> None:
    host = HOSTS[name]
    local = entry(host, url=None, token=None, options=["--data", "/d"])
    assert local["args"] == ["mcp", "--data", "/d"]
    remote = entry(host, url="http://a/mcp", token="t", options=[])
    if host.remote:
        assert remote["url"] == "http://a/mcp"
        assert remote["headers"] == {"Authorization": "Bearer t"}
    else:
        assert remote["args"] == ["mcp", "--url", "http://a/mcp"]
        assert remote["env"] == {"MEMHOST_TOKEN": "t"}
    assert list(document(host, local)) == ["servers" if name == "vscode" else "mcpServers"]


@pytest.mark.parametrize(
    ("auth", "container", "host"),
    [("none", False, "127.0.0.1"), ("none", True, "0.0.0.0"), ("token", False, "0.0.0.0")],
)
def test_where_mcp_alone_listens(auth: str, container: bool, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_in_container", lambda: container)
    assert commands._default_host(auth) == host


def test_without_its_library_no_address_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/mcp" in memhost_mcp._shown(McpSettings())["MCP"]
    monkeypatch.setattr(memhost_mcp, "find_spec", lambda _name: None)
    assert "pip install" in memhost_mcp._shown(McpSettings())["MCP"]
