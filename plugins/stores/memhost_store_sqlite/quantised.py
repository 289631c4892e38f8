"""Vectors as whole numbers from -127 to 127, in two parts: the few axes that tell most apart, and the others.

A scan over many vectors looks at the first part alone; those that may be among the nearest are compared by both, and
the best of these by the vectors themselves. Where the axes tell nothing apart, as in vectors drawn at random, more are
compared; the nearest are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from memhost.models import Vector
from memhost_store_sqlite.codec import Ids, finite_rows

_TURNED = range(128, 1025)
"""Lengths of vectors for which axes are fitted: shorter ones are compared at once, longer ones would take seconds, and
mostly come from models that put what tells most apart first."""
_SAMPLE = 4
"""Vectors for each axis from which on a sample tells axes apart."""
_SHARE = 4
"""A fourth of the axes is the first part."""
_STRIDE = 2048
"""Rows turned into float32 at a time: small enough for the processor's cache."""
_ONE_THREAD = 1 << 19
"""Products up to which OpenBLAS multiplies matrices in one thread."""
_DEVIATIONS = 4
"""A cosine's error is taken to be at most so many standard deviations."""

Codes = npt.NDArray[np.int8]
Scales = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Basis:
    """Axes by which vectors are written down.

    Attributes:
        mean: What is taken away first, d.
        axes: Orthonormal, one a column, those that tell most apart first, d x d; None for those of the vectors.
        length: Number of dimensions, d.
        head: Number of axes of the first part.
    """

    mean: Vector
    axes: Vector | None
    length: int
    head: int

    @classmethod
    def of(cls, sample: Vector) -> Basis:
        """The principal axes of a sample of vectors, n x d; where it is small, all axes are the first part."""
        sample = sample[finite_rows(sample)]
        length = sample.shape[1]
        if len(sample) < _SAMPLE * length:
            return cls(np.zeros(length, dtype=np.float32), None, length, length)
        if length not in _TURNED:
            return cls.plain(length)
        mean = sample.mean(axis=0)
        spread = np.zeros((length, length), dtype=np.float32)
        for start in range(0, len(sample), size := _piece(length)):
            centred = sample[start : start + size] - mean
            spread += centred.T @ centred
        _, axes = np.linalg.eigh(spread)
        return cls(mean, np.ascontiguousarray(axes[:, ::-1], dtype=np.float32), length, length // _SHARE)

    @classmethod
    def plain(cls, length: int) -> Basis:
        """The axes of the vectors themselves."""
        head = length // _SHARE if length >= _TURNED.start else length
        return cls(np.zeros(length, dtype=np.float32), None, length, head)

    def turned(self, vectors: Vector) -> Vector:
        """Coordinates along the axes, without taking the mean away."""
        if self.axes is None:
            return vectors
        if vectors.ndim == 1:
            return vectors @ self.axes
        turned = np.empty_like(vectors)
        for start in range(0, len(vectors), size := _piece(self.length)):
            np.dot(vectors[start : start + size], self.axes, out=turned[start : start + size])
        return turned


@dataclass(frozen=True, slots=True)
class Rows:
    """Rounded vectors.

    Attributes:
        keys: Of `vectors` in the file, n.
        heads: Along the first axes, n x h.
        tails: Along the others, n x (d - h).
        scales: What a step of the heads and one of the tails is, and the length of the tail; n x 3.
    """

    keys: Ids
    heads: Codes
    tails: Codes
    scales: Scales

    @classmethod
    def empty(cls, capacity: int, basis: Basis) -> Rows:
        """Room for `capacity` rows."""
        return cls(
            keys=np.empty(capacity, dtype=np.int64),
            heads=np.empty((capacity, basis.head), dtype=np.int8),
            tails=np.empty((capacity, basis.length - basis.head), dtype=np.int8),
            scales=np.empty((capacity, 3), dtype=np.float32),
        )

    @classmethod
    def rounded(cls, keys: Ids, vectors: Vector, basis: Basis) -> tuple[Rows, float]:
        """Vectors rounded, and the error of a cosine that comes of it."""
        vectors = np.where(finite_rows(vectors)[:, None], vectors, np.float32(0))  # the exact reading drops the others
        turned = basis.turned(vectors - basis.mean)
        heads, head_steps = _round(turned[:, : basis.head])
        tails, tail_steps = _round(turned[:, basis.head :])
        length = np.linalg.norm(turned[:, basis.head :], axis=1)
        scales = np.stack((head_steps, tail_steps, length), axis=1).astype(np.float32)
        lost = turned - np.hstack((heads * head_steps[:, None], tails * tail_steps[:, None]))
        residual = float(np.linalg.norm(lost, axis=1).max(initial=0.0))
        # Rounding is all but independent of a query.
        return cls(keys, heads, tails, scales), _DEVIATIONS * residual / basis.length**0.5

    def part(self, start: int, stop: int) -> Rows:
        """A view of some of the rows."""
        return Rows(self.keys[start:stop], self.heads[start:stop], self.tails[start:stop], self.scales[start:stop])

    def assign(self, other: Rows) -> None:
        """Copy rows of another into these."""
        self.keys[...] = other.keys
        self.heads[...] = other.heads
        self.tails[...] = other.tails
        self.scales[...] = other.scales


def _piece(length: int) -> int:
    """Rows multiplied at a time: so few that BLAS takes one thread. Several wait for each other on busy processors."""
    return max(1, _ONE_THREAD // length**2)


def row_bytes(dimensions: int) -> int:
    """Bytes that a row takes."""
    return dimensions + 8 + 12


def _round(values: Vector) -> tuple[Codes, Scales]:
    steps = np.maximum(np.abs(values).max(axis=1, initial=0.0) / 127, 1e-12).astype(np.float32)
    return np.rint(values / steps[:, None]).astype(np.int8), steps


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with the same axes; `error` bounds the rounding of a cosine, `only` are those in question, None for all."""

    rows: Rows
    basis: Basis
    error: float
    only: Ids | None = None

    def __len__(self) -> int:
        return len(self.rows.keys) if self.only is None else len(self.only)


@dataclass(slots=True)
class Scan:
    """Estimates of the cosines of all rows of some parts with a unit vector, n.

    Attributes:
        keys: Of the rows.
        scores: Estimates by the first axes.
        slack: By how much they may be wrong.
        error: By how much `refined` estimates may be wrong.
    """

    parts: list[Part]
    query: Vector
    keys: Ids = field(init=False)
    scores: Scales = field(init=False)
    slack: Scales = field(init=False)
    error: float = field(init=False)
    _tails: list[Vector] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        keys, scores, slack = [np.empty(0, np.int64)], [np.empty(0, np.float32)], [np.empty(0, np.float32)]
        self.error = max((part.error for part in self.parts), default=0.0)
        for part in self.parts:
            rows, only, basis = part.rows, part.only, part.basis
            turned = basis.turned(self.query)
            head, tail = np.ascontiguousarray(turned[: basis.head]), np.ascontiguousarray(turned[basis.head :])
            self._tails.append(tail)
            scales = rows.scales if only is None else rows.scales[only]
            found = _dot(rows.heads, head, only) * scales[:, 0] + np.float32(self.query @ basis.mean)
            reach = _DEVIATIONS * float(np.linalg.norm(tail)) / max(len(tail), 1) ** 0.5
            keys.append(rows.keys if only is None else rows.keys[only])
            scores.append(found)
            slack.append(scales[:, 2] * np.float32(reach))
        self.keys, self.scores, self.slack = np.concatenate(keys), np.concatenate(scores), np.concatenate(slack)

    @property
    def rough(self) -> bool:
        """Tell whether the estimates lack a part of the axes."""
        return any(len(tail) for tail in self._tails)

    def refined(self, places: Ids) -> Scales:
        """Estimates of the rows in these places, ascending, by all axes."""
        scores, start = self.scores[places], 0
        for part, tail in zip(self.parts, self._tails, strict=True):
            begin, end = np.searchsorted(places, (start, start + len(part)))
            at = places[begin:end] - start
            start += len(part)
            if len(tail) and len(at):
                at = at if part.only is None else part.only[at]
                scores[begin:end] += _dot(part.rows.tails, tail, at) * part.rows.scales[at, 1]
        return scores


def _dot(codes: Codes, vector: Vector, only: Ids | None) -> Scales:
    """Products of rows, all or those given, with a vector."""
    total = len(codes) if only is None else len(only)
    products = np.empty(total, dtype=np.float32)
    buffer = np.empty((min(_STRIDE, total), codes.shape[1]), dtype=np.float32)
    for start in range(0, total, _STRIDE):
        stop = min(start + _STRIDE, total)
        part = buffer[: stop - start]
        part[...] = codes[start:stop] if only is None else codes[only[start:stop]]
        np.dot(part, vector, out=products[start:stop])
    return products
