"""An adversary with a writer's rights against a real server: nothing across scopes, nothing trusted in."""

from __future__ import annotations

import pytest
from bench.adversary import actors, protocol


@pytest.mark.full("15 s each: a real server; test_authorisation.py and poison hold the rules")
@pytest.mark.parametrize("with_model", [False, True])
def test_no_attempt_gets_through(with_model: bool) -> None:
    with actors(with_model=with_model) as everybody:
        tried = list(protocol(*everybody))
    assert len(tried) > 180
    through = {attempt.what for attempt in tried if attempt.breach}
    assert through - KNOWN == set(), "got through"


KNOWN = {
    *(f"{who}: role {role}" for who in ("agent", "reader") for role in ("Payto {mark}", "Approve {mark}")),
    *(f"{who}: role {{mark}}_is_admin" for who in ("agent", "reader")),
    "agent: turn of the role assistant",
    "agent: turn of the role developer",
    "agent: turn of the assistant that quotes the user",
}
"""What gets through so far: names of unknown speakers, which contexts list, and turns that programs of the user write.
Take off what is mended."""
