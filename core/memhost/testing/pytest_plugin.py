"""Fixtures for tests of plugins. pytest loads this module wherever memhost is installed; it imports nothing heavy.

`memhost_host`: starts hosts in a temporary folder: `async with memhost_host(plugins={"acme": "acme_notes"}) as host`
(see `memhost.testing.hosts.running_host`). `memhost_clock`: a clock that moves only when told to. `memhost_model`: a
language model that answers as the test says. `memhost_embedder`: an embedder without weights.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from memhost.host import Host
    from memhost.testing.clock import FakeClock
    from memhost.testing.models import ScriptedModel, WordEmbedder

pytest.register_assert_rewrite("memhost.testing")


@pytest.fixture
def memhost_host(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Host]]:
    """Starts a host; takes what `memhost.testing.hosts.running_host` takes after the folder."""
    from memhost.testing.hosts import running_host

    return partial(running_host, tmp_path / "memhost")


@pytest.fixture
def memhost_clock() -> FakeClock:
    """Return a clock that moves only by `memhost_clock.advance(seconds)`."""
    from memhost.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def memhost_model() -> ScriptedModel:
    """A language model; fill `memhost_model.answers`."""
    from memhost.testing.models import ScriptedModel

    return ScriptedModel()


@pytest.fixture
def memhost_embedder() -> WordEmbedder:
    """Vectors of 64 numbers; texts that share words are near."""
    from memhost.testing.models import WordEmbedder

    return WordEmbedder()
