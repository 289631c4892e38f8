"""The measures of a set, as plain values for JSON and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from memhost.evaluation.metrics import MEASURES, Floats, Interval, difference, interval
from memhost.evaluation.runs import Measured
from memhost.evaluation.sets import EvalSet


def report(given: EvalSet, measured: Sequence[Measured]) -> dict[str, Any]:
    """Means and intervals of each system, in all and by category.

    The difference is that of the last two systems, if two servers were measured; its values are paired by question.
    """
    names = np.array([question.category for question in given.questions])
    categories = sorted(set(names.tolist()))
    servers = [each for each in measured if each.seconds]
    found: dict[str, Any] = {
        "set": given.name,
        "conversations": len(given.conversations),
        "questions": len(names),
        "systems": [_system(each, names, categories) for each in measured],
    }
    if len(servers) == 2:
        one, two = servers
        found["difference"] = {
            "of": [two.system, one.system],
            "all": _differences(one.values, two.values),
            "by_category": {
                name: _differences(one.values[names == name], two.values[names == name]) for name in categories
            },
        }
    return found


def _system(measured: Measured, names: Any, categories: Sequence[str]) -> dict[str, Any]:
    values = measured.values
    found: dict[str, Any] = {
        "name": measured.system,
        "all": _means(values),
        "by_category": {
            name: {"questions": int(sum(names == name)), **_means(values[names == name])} for name in categories
        },
        "budgets_by": measured.budgets_by,
    }
    if measured.seconds:
        p50, p95 = np.percentile(measured.seconds, (50, 95)) * 1000
        found["search_ms"] = {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}
    return found


def _means(values: Floats) -> dict[str, Any]:
    return _named(interval(values[:, place]) for place in range(len(MEASURES)))


def _differences(one: Floats, two: Floats) -> dict[str, Any]:
    return _named(difference(one[:, place], two[:, place]) for place in range(len(MEASURES)))


def _named(columns: Iterable[Interval | None]) -> dict[str, Any]:
    return {
        name: {key: round(value, 6) for key, value in found._asdict().items()}
        for name, found in zip(MEASURES, columns, strict=True)
        if found is not None
    }
