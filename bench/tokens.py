"""What checking a token costs with 10,000 tokens in the store: known to the process, and looked up each time.

python -m bench.tokens
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from memhost.host import open_host, startup
from memhost.ports import Credentials
from memhost_auth_token.keys import load_hasher
from memhost_auth_token.token_store import TokenStore

TOKENS = 10_000
CHECKS = 5_000
BAR_MS = 0.2


async def fill(folder: Path) -> list[str]:
    """Make the tokens; some of them."""
    configuration, plugins = startup.load(environ={"DATA_DIR": str(folder)}, env_file=None)
    async with open_host(configuration, plugins, run_jobs=False) as host:
        book, hasher = TokenStore(host.store, host.clock), load_hasher(None, folder)
        await book.check_key(hasher)
        made = []
        for _ in range(TOKENS // 100):
            made += await asyncio.gather(*(book.create(hasher, role="writer") for _ in range(100)))
    return [text for text, _ in made[:: TOKENS // 100]]


async def check(folder: Path, texts: list[str], cache_s: str) -> list[float]:
    """Milliseconds of each check, sorted."""
    environ = {"DATA_DIR": str(folder), "AUTH": "token", "TOKEN_CACHE_S": cache_s}
    configuration, plugins = startup.load(environ=environ, env_file=None)
    async with open_host(configuration, plugins, run_jobs=False) as host:
        took = []
        for number in range(CHECKS + len(texts)):
            credentials = Credentials(scheme="bearer", token=texts[number % len(texts)])
            begun = time.perf_counter()
            await host.authenticate(credentials)
            took.append((time.perf_counter() - begun) * 1000)
    return sorted(took[len(texts) :])


def main() -> int:
    """Print the table."""
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {TOKENS} tokens, sqlite")
    middles = []
    with tempfile.TemporaryDirectory() as name:
        texts = asyncio.run(fill(Path(name)))
        for title, cache_s in (("known to the process", "60"), ("looked up each time", "0")):
            took = asyncio.run(check(Path(name), texts, cache_s))
            middles.append(took[len(took) // 2])
            p95, p99 = (took[int(len(took) * part)] for part in (0.95, 0.99))
            print(f"{title}: p50 {middles[-1]:.3f} ms   p95 {p95:.3f} ms   p99 {p99:.3f} ms   bar {BAR_MS} ms")
    return 0 if max(middles) < BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
