"""An adversary with a writer's rights against a real server: nothing across scopes, nothing trusted in."""

from __future__ import annotations

import pytest
from bench.adversary import actors, protocol


@pytest.mark.full("15 s each: a real server; test_authorisation.py and poison hold the rules")
@pytest.mark.parametrize("with_model", [False, True])
def test_no_attempt_gets_through(with_model: bool) -> None:
    with actors(with_model=with_model) as everybody:
        tried = list(protocol(*everybody))
    assert len(tried) >= 215
    through = {attempt.what for attempt in tried if attempt.breach}
    assert through == KNOWN, "got through, or is mended"


KNOWN = {"agent: turn of the role assistant", "agent: turn of the assistant that quotes the user"}
"""What gets through so far: searches give turns of the assistant, with their trust. Take off what is mended."""
