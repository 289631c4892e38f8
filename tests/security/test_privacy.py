"""Data that leaves the server besides its answers: log lines, and the record of administration."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from memhost.errors import Forbidden, NotFound
from memhost.logs import JsonFormatter
from memhost.testing.polling import until
from tests.support import auditor, scripted
from tests.support.crossing import MARKS, SETTINGS, TEXTS, Crowd, echo
from tests.support.hosts import bound_to, run, running_host


async def test_no_text_of_a_memory_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scripted.reset().rule = echo
    with caplog.at_level(logging.INFO):
        async with running_host(tmp_path, store="sqlite", extra=[scripted.POINT], settings=SETTINGS) as host:
            report = await Crowd(host, seed=3).run(400)
            scripted.SCRIPT.rule = lambda asked: ValueError(asked.prompt)  # providers quote what they were sent
            await Crowd(host, seed=4).run(200)
    assert report.calls
    lines = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert lines
    for text in (*MARKS.values(), *TEXTS):
        assert text not in lines, lines[max(0, lines.index(text) - 300) :][:600]


async def test_plugins_hear_of_administration(tmp_path: Path) -> None:
    auditor.HEARD.clear()
    async with running_host(tmp_path, store="memory", extra=[auditor.POINT]) as host:
        await run(host, "delete_user", user_id="ann")
        with pytest.raises(NotFound):
            await run(host, "discard_job", job_id="none")
        with pytest.raises(Forbidden):
            await run(host, "discard_job", bound_to(users=("ann",)), job_id="refused")

        async def all_heard() -> bool:
            return len(auditor.HEARD) >= 2

        await until(all_heard)
        found = {(event.subject, event.action, event.target, event.tenant) for event in auditor.HEARD}
    assert found == {("test", "delete_user", "ann", "default"), ("test", "discard_job", "none", "default")}
