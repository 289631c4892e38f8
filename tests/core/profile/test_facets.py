"""Facets: what stands for one, and which are chosen; and whose rules stand first."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from memhost.context.standing import Standing
from memhost.extraction.kinds import INSTRUCTION, KIND
from memhost.memories.records import index_records
from memhost.models import MemoryRecord, Scope, WriteBatch
from memhost.profile.facets import Facet, facets_of
from memhost.profile.service import profile_lines
from memhost.testing.factories import START, after, make_record
from tests.support.hosts import running_host

NOW = START + timedelta(days=9)


def told(name: str, text: str, subject: str = "", **fields: Any) -> MemoryRecord:
    metadata = {**({"subject": subject} if subject else {}), **fields.pop("metadata", {})}
    return make_record(name, text, **{"extractor": "discrete/1", "trust": "user", "metadata": metadata, **fields})


def ended(name: str, text: str, by: str, subject: str = "") -> MemoryRecord:
    return told(name, text, subject, superseded_by=by, valid_to=after(60))


def test_the_last_of_a_chain_of_events_stands_for_the_facet() -> None:
    home = ended("a", "User lives in Ghent.", "b", "home")
    heirs = {"b": ended("b", "User moved to Rome.", "c"), "c": told("c", "User moved to Oslo.")}
    (facet,) = facets_of([home], heirs, NOW)
    assert ([each.id for each in facet.current], [each.id for each in facet.past]) == (["c"], ["a"])


def test_a_rule_stands_for_no_facet() -> None:
    home = ended("a", "User lives in Ghent.", "b", "home")
    rule = told("b", "User wants to be asked where User lives.", metadata={KIND: INSTRUCTION})
    assert facets_of([home], {"b": rule}, NOW) == []


def test_facets_of_most_turns_are_chosen_and_lines_stand_once() -> None:
    known = Facet("home", [told("a", "User lives in Ghent.", "home", source_ids=["m1", "m2"])])
    fresh = Facet("tea", [told("b", "User drinks tea.", "tea", source_ids=["m3"], created_at=after(600))])
    same = Facet("place", [told("c", "User lives in  Ghent.", "place", source_ids=["m4", "m5", "m6"])])
    assert profile_lines([known, fresh], 1) == ["User lives in Ghent."]
    assert profile_lines([known, fresh, same], 3) == ["User lives in Ghent.", "User drinks tea."]


async def test_rules_are_those_of_one_user_that_hold_already(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        now = host.clock.now()
        order = {KIND: INSTRUCTION}
        rules = [
            told("a", "User wants short answers.", metadata=order, trust="user"),
            told("b", "User wants long answers.", metadata=order, trust="user", valid_from=now + timedelta(days=1)),
        ]
        await host.store.commit(Scope(), WriteBatch(put_memories=await index_records(rules, host.embedder)))
        standing = Standing(host.services.profile, host.clock)
        assert await standing.rules(Scope(users=("ann",)), None) == ["User wants short answers."]
        assert await standing.rules(Scope(users=("ann", "bob")), None) == await standing.rules(Scope(), None) == []
