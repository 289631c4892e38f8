"""Change the code in small ways and see whether a test notices: `make mutate`.

Cosmic Ray finds the places (a comparison turned, a `not` added, a number moved by one, a loop that never runs) and
makes the change; each mutant runs against the tests of its own module, in a copy of the tree, so that the checkout
stays as it is. What no test notices is printed as a diff, and makes the exit code 1. With --whole, survivors run
against all tests before they count.

    python tools/mutate.py                      a sample of 120 over all modules of TARGETS
    python tools/mutate.py --count 30 outbox    of the modules whose path contains "outbox"
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

TOP = Path(__file__).parents[1]
TARGETS: dict[str, str] = {
    "core/memhost/jobs/dispatcher.py": (
        "tests/core/jobs/test_jobs.py tests/core/jobs/test_putting_off.py tests/core/jobs/test_tasks.py"
    ),
    "core/memhost/jobs/schedules.py": "tests/core/jobs/test_schedules.py tests/core/jobs/test_putting_off.py",
    "core/memhost/storage/leases.py": "tests/core/storage/test_leases.py",
    "core/memhost/storage/processes.py": "tests/core/storage/test_leases.py",
    "core/memhost/jobs/maintenance.py": "tests/core/jobs/test_maintenance.py",
    "core/memhost/jobs/tasks.py": "tests/core/jobs/test_tasks.py",
    "core/memhost/usage/model_health.py": "tests/core/host/test_models_away.py",
    "core/memhost/host/readiness.py": "tests/core/host/test_models_away.py",
    "core/memhost/jobs/outbox.py": "tests/core/jobs/test_outbox.py",
    "core/memhost/storekit/touched.py": "tests/plugins/stores/test_conformance.py::TestMemoryStore",
    "plugins/stores/memhost_store_sqlite/jobs.py": "tests/plugins/stores/test_conformance.py::TestSqliteStore",
    "core/memhost/text/conversation.py": (
        "tests/core/sessions/test_tool_pairs.py tests/core/sessions/test_structured.py"
    ),
    "core/memhost/messages/turns.py": "tests/core/sessions tests/core/sessions/test_session_summaries.py",
    "core/memhost/messages/concurrent_writes.py": "tests/core/sessions/test_concurrency.py",
    "core/memhost/sessions/records.py": (
        "tests/core/sessions/test_corrections.py tests/core/sessions/test_concurrency.py"
    ),
    "core/memhost/memories/support.py": "tests/core/sessions/test_corrections.py",
    "core/memhost/memories/repetition.py": (
        "tests/core/memories/test_repetition.py tests/core/consolidation/test_compaction.py"
    ),
    "core/memhost/memories/exact_duplicates.py": (
        "tests/core/memories/test_repetition.py tests/core/memories/test_memories.py"
    ),
    "core/memhost/memories/aliases.py": "tests/core/memories/test_repetition.py",
    "core/memhost/search/filters.py": "tests/core/search/test_filters.py",
    "core/memhost/reading/unknown.py": "tests/security/test_unknown_names.py",
    "core/memhost/consolidation/similarity.py": "tests/core/consolidation/test_semantic_deduplication.py",
}
"""Each module that holds rules, and the tests that must notice when one changes."""
OPERATORS = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ZeroIterationForLoop",
)
"""Operators of Cosmic Ray whose mutants are mostly worth killing; those of bits and types are left out."""
_LIMIT_S = 300
"""A mutant that runs longer has made a loop endless: killed."""


@dataclass(frozen=True)
class Mutant:
    """One change: the module, the operator, and which of its places in the module."""

    module: str
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: whether a test noticed, and the change as a diff."""

    mutant: Mutant
    killed: bool
    diff: str


def places(module: str) -> Iterator[Mutant]:
    """Every mutant of a module that the operators make, annotations left out."""
    import cosmic_ray.plugins
    from cosmic_ray.ast import ast_nodes, get_ast_from_path

    tree = get_ast_from_path(TOP / module)
    for name in OPERATORS:
        operator: Any = cosmic_ray.plugins.get_operator(f"core/{name}")
        found = 0
        for node in ast_nodes(tree):
            for _ in operator().mutation_positions(node):
                yield Mutant(module, f"core/{name}", found)
                found += 1


def sample(words: list[str], count: int, seed: int) -> list[Mutant]:
    """As many mutants, spread evenly over the modules whose path contains one of the words.

    Raises:
        SystemExit: No module has such a path.
    """
    modules = [module for module in sorted(TARGETS) if not words or any(word in module for word in words)]
    if not modules:
        raise SystemExit(f"No module of TARGETS has {' or '.join(words)} in its path.")
    chance = random.Random(seed)
    piles = [list(places(module)) for module in modules]
    for pile in piles:
        chance.shuffle(pile)
    chosen: list[Mutant] = []
    while len(chosen) < count and any(piles):
        chosen.extend(pile.pop() for pile in piles if pile)
    return chosen[:count]


def copy_tree(to: Path) -> None:
    """The files that git knows or would add, as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        source = TOP / name
        if source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)


def tests_fail(tree: Path, tests: list[str]) -> bool:
    """Whether the tests notice; the copy's packages come before the installed ones."""
    roots = [tree / "core", *sorted(path for path in (tree / "plugins").iterdir() if path.is_dir())]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree), *map(str, roots)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MEMHOST_EVAL_DATA": os.environ.get("MEMHOST_EVAL_DATA", str(TOP.parent / "shared" / "data")),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, check=False, capture_output=True, text=True, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1, 2):
        raise SystemExit(f"The tests did not run: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.returncode != 0


def try_mutant(tree: Path, mutant: Mutant, tests: list[str]) -> Outcome:
    """Make the change in the copy, run the tests, and take it back."""
    import cosmic_ray.plugins
    from cosmic_ray.mutating import use_mutation

    operator: Any = cosmic_ray.plugins.get_operator(mutant.operator)()
    with use_mutation(tree / mutant.module, operator, mutant.occurrence) as (before, after):
        return Outcome(mutant, tests_fail(tree, tests), _diff(before, after, mutant.module))


def _diff(before: str, after: str | None, name: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), (after or before).splitlines(), name, name, lineterm="", n=1)
    return "\n".join(lines)


def run(mutants: list[Mutant], processes: int, whole: bool) -> list[Outcome]:
    """Try all; each process has a copy of the tree of its own."""
    with tempfile.TemporaryDirectory() as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(processes):
            tree = Path(folder) / f"tree{number}"
            copy_tree(tree)
            free.put(tree)

        def one(mutant: Mutant) -> Outcome:
            tree = free.get()
            try:
                outcome = try_mutant(tree, mutant, TARGETS[mutant.module].split())
                if not outcome.killed and whole:
                    outcome = try_mutant(tree, mutant, ["tests"])
            finally:
                free.put(tree)
            print("." if outcome.killed else "S", end="", flush=True)
            return outcome

        with ThreadPoolExecutor(processes) as pool:
            outcomes = list(pool.map(one, mutants))
    print()
    return outcomes


def main() -> int:
    """Print the survivors and the count; 1 if there are any."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("words", nargs="*", help="only modules whose path contains one of these")
    options.add_argument("--count", type=int, default=120, help="how many mutants (default 120)")
    options.add_argument("--seed", type=int, default=1, help="which sample (default 1)")
    options.add_argument("--processes", type=int, default=2, help="how many at a time (default 2)")
    options.add_argument("--whole", action="store_true", help="survivors run against all tests, too")
    given = options.parse_args()
    mutants = sample(given.words, given.count, given.seed)
    print(f"{len(mutants)} mutants of {len({mutant.module for mutant in mutants})} modules, seed {given.seed}")
    outcomes = run(mutants, given.processes, given.whole)
    survivors = [outcome for outcome in outcomes if not outcome.killed]
    for outcome in survivors:
        print(f"\nsurvived: {outcome.mutant.operator} {outcome.mutant.occurrence}\n{outcome.diff}")
    print(f"\n{len(outcomes) - len(survivors)} of {len(outcomes)} mutants were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
