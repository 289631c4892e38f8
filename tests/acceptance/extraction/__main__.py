"""`python -m tests.acceptance.extraction [NAME ...]`: play conversations, print the checks that fail and the score."""

from __future__ import annotations

import argparse

from tests.acceptance.extraction.score import play_all, table, write_known
from tests.acceptance.extraction.script import conversations


def main() -> None:
    """Play, print, and with `--write` make the list of known failures again."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.extraction")
    parser.add_argument("names", nargs="*", help="beginnings of names, `de/` or `en/harbour`; absent: all")
    parser.add_argument("--store", default="memory", help="store to play on: memory, sqlite")
    parser.add_argument("--failures", action="store_true", help="print the checks that are not met, and what was found")
    parser.add_argument("--write", action="store_true", help="write known_failures.txt")
    options = parser.parse_args()
    chosen = [each for each in conversations() if each.name.startswith(tuple(options.names) or "")]
    outcome = play_all(chosen, options.store)
    if options.failures:
        for name, checks in outcome.items():
            for each in checks:
                if not each.met:
                    print(f"{name} :: {each.name}\n    {each.found[:600]}")
    print(table(chosen, outcome))
    if options.write and not options.names:
        write_known(outcome)


if __name__ == "__main__":
    main()
