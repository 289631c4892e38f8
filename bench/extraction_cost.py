"""What extraction sends to a language model: calls and tokens for a turn of a chat, live and in batches.

    python -m bench.extraction_cost ../shared/data/locomo_dev.json

The first hundred turns of up to forty tokens are written as one user's chat: two turns a run, twenty a run, and all at
once. The model is scripted; it notes one statement a turn, so that later runs have known memories. Tokens are those of
the bundled counter. `uncached` are the tokens behind the longest beginning that an earlier call had as well: providers
bill what they have read before at a fraction.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import msgspec

from memhost.evaluation.sets import read_set
from memhost.host import Host, open_host
from memhost.messages.tokens import token_counter
from memhost.models import Caller
from memhost.operations import Call
from memhost.plugins import PluginManager
from memhost.settings import load_configuration
from memhost.testing.models import Asked, ScriptedModel
from memhost.testing.polling import until

TURNS, LONGEST = 100, 40
ADMIN = Caller(subject="bench", roles=frozenset({"admin"}))
POINT = EntryPoint(name="scripted", value="memhost.testing.models", group="memhost")


def noted(asked: Asked) -> str:
    """One statement for each line."""
    text = asked.prompt
    lines = text[text.rfind("<messages>\n") + 11 : text.rfind("\n</messages>")].splitlines()
    told = "User told some friends and others about {}."
    items = [
        {"text": told.format(_words(line["text"])), "lines": [line["n"]], "known": "new"}
        for line in map(json.loads, lines)
    ]
    return json.dumps({"memories": items})


def _words(text: str) -> str:
    """Some words of a line, as many as a statement has."""
    return ", ".join(word.strip(".,!?") for word in text.split() if len(word) > 6 and word.isalpha())[:60]


async def run(host: Host, name: str, **fields: Any) -> Any:
    """The answer of an operation."""
    request = msgspec.convert(fields, host.operations[name].request)
    return await host.execute(name, Call(caller=ADMIN, request_id="bench"), request)


def shared_length(text: str, other: str) -> int:
    """Characters that two texts begin with."""
    pairs = zip(text, other, strict=False)
    return next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(text), len(other)))


async def measure(turns: list[dict[str, str]], size: int) -> tuple[int, int, int]:
    """Calls, tokens and uncached tokens for the turns, so many in each run."""
    plugins = PluginManager.load(entry_points=[*entry_points(group="memhost"), POINT])
    with tempfile.TemporaryDirectory() as folder:
        environ = {"DATA_DIR": folder, "LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
        configuration = load_configuration(environ=environ, env_file=None, sections=plugins.sections())
        async with open_host(configuration, plugins) as host:
            model = host.llm
            assert isinstance(model, ScriptedModel)
            model.rule = noted
            for start in range(0, len(turns), size):
                await run(
                    host,
                    "put_session",
                    session_id="chat",
                    user_id="u",
                    messages=turns[: start + size],
                    flush=True,
                )

                async def read() -> bool:
                    view = await run(host, "get_session", session_id="chat", user_id="u")
                    return bool(view.extraction.pending == 0)

                await until(read, limit_s=60)
    count = token_counter()
    total = uncached = 0
    before: list[str] = []
    for asked in model.calls:
        text = asked.prompt
        shared = max((shared_length(text, each) for each in before), default=0)
        total += count(text)
        uncached += count(text[shared:])
        before.append(text)
    return len(model.calls), total, uncached


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a file of conversations in the form of LoCoMo")
    given = parser.parse_args()
    conversation = next(iter(read_set(given.file).conversations))
    count = token_counter()
    turns = [
        {"id": turn.id, "role": turn.role, "content": turn.text, "created_at": turn.at.isoformat()}
        for session in conversation.sessions
        for turn in session
        if count(turn.text) <= LONGEST
    ][:TURNS]
    said = sum(count(turn["content"]) for turn in turns)
    print(f"{len(turns)} turns, {said / len(turns):.0f} tokens each")
    print("turns a run   calls   tokens in   a turn   uncached a turn")
    for size in (2, 20, TURNS):
        calls, total, uncached = asyncio.run(measure(turns, size))
        print(f"{size:11}{calls:8}{total:12}{total / len(turns):9.0f}{uncached / len(turns):18.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
