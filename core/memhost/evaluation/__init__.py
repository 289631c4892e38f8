"""Measures how well a server finds memories: question sets, generated timelines, metrics with intervals."""

from memhost.evaluation.bm25 import bm25
from memhost.evaluation.metrics import MEASURES, measures
from memhost.evaluation.report import report
from memhost.evaluation.runs import Measured, measure_floor, measure_server
from memhost.evaluation.server import AmsServer
from memhost.evaluation.sets import EvalSet, read_set
from memhost.evaluation.timelines import timelines

__all__ = [
    "MEASURES",
    "AmsServer",
    "EvalSet",
    "Measured",
    "bm25",
    "measure_floor",
    "measure_server",
    "measures",
    "read_set",
    "report",
    "timelines",
]
