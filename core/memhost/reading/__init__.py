"""Reading requests leniently: any msgspec struct out of parsed JSON, with all faults at once.

Every interface reads by these rules, so that a value which one takes is taken by all.
"""

from memhost.reading.depth import MAX_DEPTH, depth_exceeds
from memhost.reading.faults import MAX_PROBLEMS, problems
from memhost.reading.times import is_whole_day, read_time
from memhost.reading.types import ABSENT, FORM, Compiler, Field, construct, struct_reader
from memhost.reading.unknown import KIND as UNKNOWN
from memhost.reading.unknown import unknown_name
from memhost.reading.values import MAX_INT, MIN_INT, Fault, ReadingError, invalid

__all__ = [
    "ABSENT",
    "FORM",
    "MAX_DEPTH",
    "MAX_INT",
    "MAX_PROBLEMS",
    "MIN_INT",
    "UNKNOWN",
    "Compiler",
    "Fault",
    "Field",
    "ReadingError",
    "construct",
    "depth_exceeds",
    "invalid",
    "is_whole_day",
    "problems",
    "read_time",
    "struct_reader",
    "unknown_name",
]
