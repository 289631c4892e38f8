"""Memories as columns: one array for each thing that the ranking reads of them, with one row for each memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from memhost.ranking.columns.words import Words
from memhost.ranking.traits import traits_of
from memhost.ranking.types import Candidate, Flags, Floats, Ints, Vector
from memhost.text.speakers import is_assistant, is_user
from memhost.text.tokens import stem, tokenize

T = TypeVar("T")


class Vectors(NamedTuple):
    """The vectors of one length.

    Attributes:
        at: Row of each memory's vector in ``matrix``, shape (n,); -1 where it has none of that length.
        matrix: A vector each row, float32 or, to save room, float16; slices share it. Both are read as float64.
        squares: The squared length of each row of ``matrix``.
    """

    at: Ints
    matrix: npt.NDArray[np.float32] | npt.NDArray[np.float16]
    squares: Floats


@dataclass(eq=False)
class _Source:
    """Values without arrays, and findings, which all slices of columns share."""

    keys: Sequence[int | str]
    texts: list[str] | None
    text_of: Callable[[int], str]
    speakers: list[str]
    roles: list[str]
    sessions: list[str]
    owners: list[str]
    found: dict[Callable[[str], Any], dict[int, Any]] = field(default_factory=dict)
    names: dict[int, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def of_user(self) -> Flags:
        """The roles that are the user's; the last entry, at -1, stands for no role."""
        return np.array([*map(is_user, self.roles), False])

    @cached_property
    def of_assistant(self) -> Flags:
        """The same for the assistant's roles."""
        return np.array([*map(is_assistant, self.roles), False])


@dataclass(frozen=True, eq=False, kw_only=True)
class Columns:
    """n memories as arrays of shape (n,), in any order.

    Made once by :meth:`of`, say for all memories of an owner, and kept; :meth:`take` gives the rows that a search
    found, in time that grows with those alone. Nothing changes columns once they are made, so threads may share them.

    Attributes:
        row: Row of each memory in the columns that these were taken from.
        words: The index terms.
        speaker: Number of the speaker in ``speakers``; -1 if not known.
        role: Number of the role in ``roles``; -1 if not known.
        session: Number of the session in ``sessions``; -1 for none.
        owner: Number of the owner in ``owners``; -1 for none.
        position: Index of a turn within its session, from 0; -1 for a memory that is not a turn.
        when: float64, Unix seconds (UTC); NaN where not known.
        traits: :func:`memhost.ranking.traits_of`.
        vectors: The vectors by their lengths.
    """

    source: _Source
    row: Ints
    words: Words
    speaker: Ints
    role: Ints
    session: Ints
    owner: Ints
    position: Ints
    when: Floats
    traits: Ints
    vectors: Mapping[int, Vectors]

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        *,
        dimensions: int | None = None,
        text_of: Callable[[int], str] | None = None,
    ) -> Columns:
        """Make columns of memories, a row each in their order.

        Args:
            candidates: Memories, keys unique. Traits that they lack are found here.
            dimensions: Keep only vectors of that length; None keeps all, and 0 none. Vectors may be of float16.
            text_of: Gives the text of a row, where texts are kept elsewhere; None keeps those of the candidates.
        """
        keys = [each.key for each in candidates]
        speaker, speakers = _numbered([each.speaker for each in candidates])
        role, roles = _numbered([each.role for each in candidates])
        session, sessions = _numbered([each.session for each in candidates])
        owner, owners = _numbered([each.owner for each in candidates])
        texts = [each.text for each in candidates] if text_of is None else None
        return cls(
            source=_Source(keys, texts, _reader(texts, text_of), speakers, roles, sessions, owners),
            row=np.arange(len(keys)),
            words=Words.of([each.terms for each in candidates]),
            speaker=speaker,
            role=role,
            session=session,
            owner=owner,
            position=np.array([-1 if each.position is None else each.position for each in candidates], dtype=np.int64),
            when=np.array([np.nan if each.when is None else each.when for each in candidates], dtype=np.float64),
            traits=np.array(
                [_traits(each) if each.traits is None else each.traits for each in candidates], dtype=np.int64
            ),
            vectors=_vectors([each.vector for each in candidates], dimensions),
        )

    @classmethod
    def concat(cls, parts: Sequence[Columns], *, text_of: Callable[[int], str] | None = None) -> Columns:
        """Return the rows of all parts behind each other, as if they were made together; the parts stay as they are.

        This copies all arrays, but knows the words of the first part already: make that the longest one.

        Args:
            parts: Columns with other keys each, at least one.
            text_of: As for :meth:`of`, by the rows of the result. None takes the texts from the parts; parts whose own
                texts are kept elsewhere are then asked for each text.
        """
        keys = [key for part in parts for key in part.keys]
        speaker, speakers = _renumbered([(part.speaker, part.speakers) for part in parts])
        role, roles = _renumbered([(part.role, part.roles) for part in parts])
        session, sessions = _renumbered([(part.session, part.sessions) for part in parts])
        owner, owners = _renumbered([(part.owner, part.owners) for part in parts])
        texts = None
        if text_of is None and all(part.source.texts is not None for part in parts):
            texts = [text for part in parts for text in map(part.text, range(len(part)))]
        return cls(
            source=_Source(keys, texts, _reader(texts, text_of or _texts_of(parts)), speakers, roles, sessions, owners),
            row=np.arange(len(keys)),
            words=Words.concat([part.words for part in parts]),
            speaker=speaker,
            role=role,
            session=session,
            owner=owner,
            position=np.concatenate([part.position for part in parts]),
            when=np.concatenate([part.when for part in parts]),
            traits=np.concatenate([part.traits for part in parts]),
            vectors=_joined_vectors(parts),
        )

    def take(self, rows: Ints | Sequence[int]) -> Columns:
        """Return these rows, in their order."""
        at = np.asarray(rows, dtype=np.int64)
        return Columns(
            source=self.source,
            row=self.row[at],
            words=self.words.take(at),
            speaker=self.speaker[at],
            role=self.role[at],
            session=self.session[at],
            owner=self.owner[at],
            position=self.position[at],
            when=self.when[at],
            traits=self.traits[at],
            vectors={size: each._replace(at=each.at[at]) for size, each in self.vectors.items()},
        )

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def place(self) -> Ints:
        """Rises with the keys: numbers first, then texts. Equal scores are put in this order."""
        return _places(self.keys)

    @property
    def keys(self) -> list[int | str]:
        """The key of each row."""
        return list(map(self.source.keys.__getitem__, self.row.tolist()))

    def keys_of(self, rows: Ints) -> list[int | str]:
        """The keys of some rows."""
        return list(map(self.source.keys.__getitem__, self.row[rows].tolist()))

    @property
    def speakers(self) -> Sequence[str]:
        """The names that ``speaker`` numbers: those of these rows, and maybe others."""
        return self.source.speakers

    @property
    def roles(self) -> Sequence[str]:
        """The roles that ``role`` numbers, likewise."""
        return self.source.roles

    @property
    def sessions(self) -> Sequence[str]:
        """The sessions that ``session`` numbers, likewise."""
        return self.source.sessions

    @property
    def owners(self) -> Sequence[str]:
        """The owners that ``owner`` numbers, likewise."""
        return self.source.owners

    @cached_property
    def of_user(self) -> Flags:
        """The memories whose role is the user's."""
        return self.source.of_user[self.role]

    @cached_property
    def of_assistant(self) -> Flags:
        """The memories whose role is an assistant's."""
        return self.source.of_assistant[self.role]

    def vector(self, row: int) -> Vector | None:
        """The vector of a row, float32; None if it has none."""
        for each in self.vectors.values():
            if (at := int(each.at[row])) >= 0:
                vector: Vector = each.matrix[at].astype(np.float32)
                return vector
        return None

    def text(self, row: int) -> str:
        """The text of a row."""
        return self.source.text_of(int(self.row[row]))

    def remembered(self, find: Callable[[str], T], rows: Ints) -> list[T]:
        """Return what a pure function finds in the texts of some rows; that is kept for the next time.

        Args:
            find: A function of a module, one of few, which returns little or what others return as well.
            rows: The rows.
        """
        kept: dict[int, T] = self.source.found.setdefault(find, {})
        at = self.row[rows].tolist()
        for row in at:
            if row not in kept:
                kept[row] = find(self.source.text_of(row))
        return [kept[row] for row in at]

    def speaker_words(self, speaker: int) -> Mapping[str, str]:
        """The words of a speaker's name, folded, each with its stem."""
        if speaker not in self.source.names:
            self.source.names[speaker] = {word: stem(word) for word in tokenize(self.source.speakers[speaker])}
        return self.source.names[speaker]


def _traits(candidate: Candidate) -> int:
    terms = candidate.terms
    return traits_of(candidate.text, terms.split() if isinstance(terms, str) else terms)


def _numbered(values: Sequence[str | None]) -> tuple[Ints, list[str]]:
    """Return the number of each value, from 0, and the values in the order of their numbers; None is -1."""
    found = [value for value in dict.fromkeys(values) if value is not None]
    numbers: dict[str | None, int] = {None: -1} | {value: number for number, value in enumerate(found)}
    return np.fromiter(map(numbers.__getitem__, values), np.int64, len(values)), found


def _renumbered(parts: Sequence[tuple[Ints, Sequence[str]]]) -> tuple[Ints, list[str]]:
    """Return the numbers of all parts by one list of values, and that list."""
    found = list(dict.fromkeys(value for _, values in parts for value in values))
    numbers = {value: number for number, value in enumerate(found)}
    # The last entry, at -1, stands for no value.
    return np.concatenate([np.array([*(numbers[each] for each in values), -1])[own] for own, values in parts]), found


def _places(keys: Sequence[int | str]) -> Ints:
    """Return the place of each key among all: numbers first, then texts."""
    numbers = [row for row, key in enumerate(keys) if not isinstance(key, str)]
    texts = [row for row, key in enumerate(keys) if isinstance(key, str)]
    places = np.empty(len(keys), dtype=np.int64)
    places[sorted(numbers, key=keys.__getitem__) + sorted(texts, key=keys.__getitem__)] = np.arange(len(keys))
    return places


def _reader(texts: list[str] | None, text_of: Callable[[int], str] | None) -> Callable[[int], str]:
    """Return what reads the text of a row: from those that are kept, else as it was given."""
    if texts is not None:
        return texts.__getitem__
    assert text_of is not None
    return text_of


def _texts_of(parts: Sequence[Columns]) -> Callable[[int], str]:
    """Return what reads texts of parts by the rows of all together."""
    starts = np.cumsum([0, *map(len, parts)]).tolist()

    def text_of(row: int) -> str:
        part = bisect_right(starts, row) - 1
        return parts[part].text(row - starts[part])

    return text_of


def _vectors(vectors: Sequence[Vector | None], dimensions: int | None) -> dict[int, Vectors]:
    kept: dict[int, list[Vector]] = {}
    rows: dict[int, list[int]] = {}
    for row, vector in enumerate(vectors):
        if vector is not None and dimensions in (None, size := len(vector)):
            rows.setdefault(size, []).append(row)
            kept.setdefault(size, []).append(vector)
    found = {}
    for size, members in rows.items():
        at = np.full(len(vectors), -1, dtype=np.int64)
        at[members] = np.arange(len(members))
        matrix = np.concatenate(kept[size]).reshape(len(members), size)
        if matrix.dtype != np.float16:
            matrix = matrix.astype(np.float32, copy=False)
        found[size] = Vectors(at, matrix, np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    return found


def _joined_vectors(parts: Sequence[Columns]) -> dict[int, Vectors]:
    found = {}
    for size in dict.fromkeys(size for part in parts for size in part.vectors):
        at: list[Ints] = []
        matrices: list[npt.NDArray[Any]] = []
        squares: list[Floats] = []
        count = 0
        for part in parts:
            own = part.vectors.get(size)
            if own is None:
                at.append(np.full(len(part), -1, dtype=np.int64))
                continue
            held = own.at >= 0
            rows = own.at[held]
            at.append(np.where(held, np.cumsum(held) - 1 + count, -1))
            count += len(rows)
            whole = len(rows) == len(own.matrix) and np.array_equal(rows, np.arange(len(rows)))  # indexing would copy
            matrices.append(own.matrix if whole else own.matrix[rows])
            squares.append(own.squares if whole else own.squares[rows])
        found[size] = Vectors(np.concatenate(at), np.concatenate(matrices), np.concatenate(squares))
    return found
