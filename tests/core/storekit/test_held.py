"""What holds at a moment, told by arrays, is what the conditions say of each memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from memhost.models import Condition, Op
from memhost.storekit import to_micros
from memhost.storekit.held import ALWAYS, NEVER, hold_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(microseconds=1)
AROUND = [NOW - STEP, NOW, NOW + STEP]


@pytest.mark.parametrize(
    ("condition", "since", "until", "holds"),
    [
        (Condition("valid_to", Op.NOT_LTE, (NOW,)), [NEVER] * 4, [*AROUND, ALWAYS], [False, False, True, True]),
        (Condition("valid_from", Op.NOT_GT, (NOW,)), [*AROUND, NEVER], [ALWAYS] * 4, [True, True, False, True]),
    ],
    ids=["ended", "not begun"],
)
def test_the_moment_itself_counts_as_the_conditions_say(
    condition: Condition, since: list[datetime | int], until: list[datetime | int], holds: list[bool]
) -> None:
    times = [[each if isinstance(each, int) else to_micros(each) for each in column] for column in (since, until)]
    allowed, others = hold_at(np.array(times[0]), np.array(times[1]), [condition])
    assert (allowed is not None and allowed.tolist(), others) == (holds, [])


def test_other_conditions_are_left_to_the_caller() -> None:
    other = Condition("topics", Op.ANY, ("tea",))
    assert hold_at(np.array([NEVER]), np.array([ALWAYS]), [other]) == (None, [other])
