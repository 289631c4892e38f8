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
    through = {attempt.what: attempt.breach for attempt in tried if attempt.breach}
    assert {what: breach for what, breach in through.items() if not what.startswith("agent:")} == {}
    # Memories that programs store are known as theirs: what they say of rights and payments waits for a review.
    assert len(through) <= AGENTS


AGENTS = 30
