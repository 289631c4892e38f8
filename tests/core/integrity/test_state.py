"""What the last verification found, and what reads met, is told by `ready` and `doctor`, until one finds nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.errors import Tampered
from memhost.host import Host
from memhost.http.app import build_app
from memhost.integrity.watch import MAX_SEEN, TamperWatch, counted
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host

TEA = "likes green tea"


def rewrite(folder: Path, old: str, new: str) -> None:
    """Edit the text of a memory behind the server's back."""
    with apsw.Connection(str(folder / "memhost.db")) as connection:
        connection.execute("UPDATE contents SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB)", (old, new))
        assert connection.changes()


async def ready(host: Host) -> tuple[int, bool, str]:
    """Status and `ready` of `GET /v1/ready`, and what it says of the integrity; empty if it says nothing of it."""
    app: Any = build_app(host)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http:
        answer = await http.get("/v1/ready")
    body = answer.json()
    told = [each["detail"] for each in body["components"] if each["name"] == "integrity" and not each["ok"]]
    return answer.status_code, body["ready"], "".join(told)


async def test_a_verification_by_another_process(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, run_jobs=False, clock=clock) as server:
        await run(server, "create_memories", memories=[{"id": "m", "text": TEA}, {"id": "n", "text": "lives in Kiel"}])
        async with running_host(tmp_path, run_jobs=False, clock=clock) as command:
            assert (await run(command, "verify_store")).ok
        assert await ready(server) == (200, True, "")
        rewrite(tmp_path, "green", "black")
        assert await ready(server) == (200, True, ""), "nobody has looked"
        async with running_host(tmp_path, run_jobs=False, clock=clock) as command:
            assert (await run(command, "verify_store")).found == 1
        clock.advance(90)
        status, is_ready, told = await ready(server)
        assert (status, is_ready) == (200, True), "it goes on serving what is as it was"
        assert told == (
            "the verification of 2026-01-01 00:00 UTC found 1 thing that is not what the server wrote. "
            "Show what was done with: memhost verify"
        )
        assert (await run(server, "get_memory", memory_id="n")).text == "lives in Kiel"
    async with running_host(tmp_path, run_jobs=False, clock=clock) as server:  # it is kept
        assert (await ready(server))[2] == told
        rewrite(tmp_path, "black", "green")
        assert (await ready(server))[2] == told, "that it was mended is known when it is verified"
        assert (await run(server, "verify_store")).ok
        assert await ready(server) == (200, True, "")


async def test_what_reads_met_counts_until_a_verification_finds_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, run_jobs=False, clock=clock) as server:
        await run(server, "create_memories", memories=[{"id": "m", "text": TEA}])
        assert (await run(server, "verify_store")).ok
        clock.advance(1)
        rewrite(tmp_path, "green", "black")
        with pytest.raises(Tampered):
            await run(server, "get_memory", memory_id="m")
        for _ in range(2):  # it is one memory, however often it is met
            with pytest.raises(Tampered):
                await run(server, "get_memory", memory_id="m")
        assert "not what the server wrote: 1 memory, met since the start" in (await ready(server))[2]
        clock.advance(1)
        rewrite(tmp_path, "black", "green")
        async with running_host(tmp_path, run_jobs=False, clock=clock) as command:
            assert (await run(command, "verify_store")).ok
        assert (await ready(server))[2] == ""
        clock.advance(1)
        rewrite(tmp_path, "green", "black")
        with pytest.raises(Tampered):
            await run(server, "get_memory", memory_id="m")
        assert "wrote: 1 memory, met" in (await ready(server))[2], "met again"


def test_so_many_things_of_a_sort_are_told_apart() -> None:
    watch = TamperWatch(FakeClock().now)
    watch("document", ["m0", "m1"])
    watch("memory", ["m0", "m1", "m0"])
    watch("memory", ["m1"])
    assert counted(watch.seen) == "2 documents, 2 memories"
    for start in range(0, 2 * MAX_SEEN, 1_000):
        watch("memory", [f"m{number}" for number in range(start, start + 1_000)])
    assert counted(watch.seen) == f"2 documents, at least {MAX_SEEN} memories"


def test_doctor_says_it(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path / "d")]

    def asked(*words: str) -> Any:
        return CliRunner().invoke(cli, [*words, *where], env={"PORT": "0"})

    def log() -> dict[str, Any]:
        found = json.loads(asked("doctor", "--json").stdout)["checks"]
        return next(each for each in found if each["name"] == "log")

    records = [{"id": name, "text": f"{name} {TEA}", "user_id": "ana"} for name in ("m", "n")]
    assert asked("call", "create_memories", f"memories:={json.dumps(records)}").exit_code == 0
    assert log()["state"] == "ok"
    rewrite(tmp_path / "d", "green", "black")
    assert log()["state"] == "ok", "doctor reads no memory"
    assert asked("verify").exit_code == 1
    told = log()
    assert (told["state"], "UTC found 2 things that are not" in told["detail"]) == ("fail", True)
    assert "memhost verify" in told["fix"]
    assert asked("doctor").exit_code == 1
    assert asked("verify", "--adopt", "--force").exit_code == 0
    assert log()["state"] == "ok"
