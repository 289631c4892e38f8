"""`python -m tests.security.poison [--part 1|2]`: play attacks and harmless texts, print the score and the misses."""

from __future__ import annotations

import argparse

from tests.security.poison.cases import attacks, harmless
from tests.security.poison.score import played, table


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.poison")
    parser.add_argument("names", nargs="*", help="beginnings of ids of attacks; absent: all attacks and harmless texts")
    parser.add_argument("--part", type=int, choices=(1, 2), help="one part of the corpus; absent: both")
    parser.add_argument("--without-model", action="store_true", help="no language model; else one that repeats all")
    parser.add_argument("--store", default="memory", help="store to play on: memory, sqlite")
    parser.add_argument("--failures", action="store_true", help="print what surfaced, and what was missing")
    options = parser.parse_args()
    chosen = [each for each in attacks(options.part) if each.id.startswith(tuple(options.names) or "")]
    texts = [] if options.names else harmless(options.part)
    outcome = played(chosen, texts, with_model=not options.without_model, store=options.store)
    if options.failures:
        for each in chosen:
            for way, text in outcome.surfaced[each.id].items():
                print(f"{each.id} ({each.channel}) in {way}: {text!r}")
        for text, ways in (*outcome.missing.items(), *outcome.lost.items()):
            print(f"missing in {', '.join(ways)}: {text!r}")
    print(table(chosen, texts, outcome))


if __name__ == "__main__":
    main()
