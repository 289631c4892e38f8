"""Runs the public suites of PyPI against memhost and prints a table for each.

pip install -r bench/public/requirements.txt
python -m bench.public                    # agent-memory-guard and agent-memory-integrity, with and without a model
python -m bench.public integrity --mutate
"""

from __future__ import annotations

import argparse
import logging

from bench.public import guard, integrity, tampering
from bench.public.stage import stage


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", help="guard, integrity, tampering; absent: all")
    parser.add_argument("--mutate", action="store_true", help="integrity: its rewordings of each attack as well")
    parser.add_argument("--model", choices=("with", "without"), help="absent: both")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    suites = options.suite or ["guard", "integrity", "tampering"]
    if "tampering" in suites:
        print("\nagent-memory-integrity, edits of what is stored\n")
        show(tampering.HEAD, list(tampering.rows()))
    if not {"guard", "integrity"} & set(suites):
        return
    for with_model in (False, True):
        if options.model and (options.model == "with") != with_model:
            continue
        told = "a model that notes all it reads" if with_model else "no model"
        with stage(with_model=with_model) as host:
            if "guard" in suites:
                print(f"\nagent-memory-guard, {told}: score, grade (attacks of 15 kept out)\n")
                show(guard.HEAD, guard.rows(host))
            if "integrity" in suites:
                print(f"\nagent-memory-integrity, {told}: surfaced of 5, external/laundered/agent-laundered\n")
                show(integrity.HEAD, integrity.rows(host, mutate=options.mutate))


def show(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)


if __name__ == "__main__":
    main()
