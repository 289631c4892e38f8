"""The server's keys: where they come from, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from memhost.errors import ConfigurationError
from memhost.host import Host
from memhost.integrity.keys import Keyring, Purpose, load_keys, write_keys
from memhost.models import Actor, Caller, acted_by, acting
from memhost.operations import Call
from tests.support.hosts import running_host

A, B = "a" * 32, "b" * 32


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = Keyring(A.encode(), "test")
    made = {keys.key(purpose) for purpose in get_args(Purpose)}
    assert len(made) == len(get_args(Purpose))
    assert {len(each) for each in made} == {32}
    assert keys.key("mac") == Keyring(A.encode(), "elsewhere").key("mac")
    assert keys.id not in "".join(each.hex() for each in made)
    assert A not in repr(keys)


def test_the_first_secret_counts_and_the_others_check() -> None:
    keys = load_keys(f"{A}  {B}")
    assert keys is not None
    assert keys.id == Keyring(A.encode(), "").id
    former = keys.known(Keyring(B.encode(), "").id)
    assert former is not None
    assert former.key("mac") == Keyring(B.encode(), "").key("mac")
    assert keys.known("0" * 16) is None


def test_the_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    first, second = load_keys(f"file:{path}"), load_keys(f"file:{path}")
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    write_keys(path, [A, path.read_text().strip()])
    newer = load_keys(f"file:{path}")
    assert newer is not None
    assert newer.known(first.id) is newer.former[0]


@pytest.mark.parametrize("text", ["short", f"{A} short"])
def test_short_secrets_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="32 characters"):
        load_keys(text)


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be read or made"):
        load_keys(f"file:{tmp_path}/file/key")
    assert load_keys(f"file:{tmp_path}/none", make=False) is None
    assert load_keys("none") is None


async def test_operations_know_who_acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Actor] = []
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        monkeypatch.setattr(type(host.store), "list_sessions", _noting(seen))
        caller = Caller(subject="token 7", roles=frozenset({"reader"}), credential="7")
        await _list(host, Call(caller=caller, request_id="r", door="rest"))
    assert seen == [Actor("token 7", "7", "rest", "list_sessions", "r")]
    assert acting() == Actor()


def _noting(seen: list[Actor]) -> object:
    async def list_sessions(*_given: object, **_named: object) -> tuple[list[object], int]:
        seen.append(acting())
        return [], 0

    return list_sessions


async def _list(host: Host, call: Call) -> None:
    await host.execute("list_sessions", call, host.operations["list_sessions"].request())


def test_an_actor_ends_with_its_block() -> None:
    with acted_by(Actor("a")):
        with acted_by(Actor("b")):
            assert acting().subject == "b"
        assert acting().subject == "a"
    assert acting().subject == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made")
def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(ConfigurationError, match="/proc/nowhere/key"):
        load_keys("file:/proc/nowhere/key")
    assert load_keys("file:/proc/nowhere/key", make=False) is None
