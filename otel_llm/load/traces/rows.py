"""Reads the rows of a trace into columns. An error names the file, the row and what to do."""

import csv
from array import array
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, compress, islice, repeat
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_text
from otel_llm.load.prompts.token_lengths import MOST
from otel_llm.load.traces.links import LinkColumns, RowLinks
from otel_llm.load.traces.trace import Trace

__all__ = ["Columns", "Rows", "check", "each_line", "read_json_rows", "read_table_rows"]

_LATEST_NS: Final = 1 << 62
_LARGE: Final = 1 << 31
_REMEDY: Final = "correct the row, or take it out"
_BAD: Final = (msgspec.MsgspecError, ValueError, OverflowError)
"""What is raised for a row that cannot be."""

_TOGETHER: Final = 256
"""Rows that are taken together, which is up to twice as fast as taking each alone."""

T = TypeVar("T")


class Rows(NamedTuple):
    """Some rows as columns of one length, in which a million are read in seconds.

    at_ns:  on the trace's own clock
    blocks, sessions, links: empty where the trace has none
    """

    at_ns: Sequence[int]
    input_tokens: Sequence[int]
    output_tokens: Sequence[int]
    blocks: Sequence[Sequence[int]] = ()
    sessions: Sequence[int] = ()
    links: RowLinks = RowLinks()

    def only(self, kept: Sequence[bool]) -> "Rows":
        """Return the rows that are kept."""
        at_ns, inputs, outputs, blocks, sessions, links = self
        return Rows(
            list(compress(at_ns, kept)),
            list(compress(inputs, kept)),
            list(compress(outputs, kept)),
            list(compress(blocks, kept)),
            list(compress(sessions, kept)),
            links.only(kept),
        )


class Columns:
    """Takes rows, checks them, and gives the trace. block_tokens: of one block, where rows have blocks"""

    def __init__(self, path: Path, block_tokens: int = 0) -> None:
        self._path, self._block_tokens = path, block_tokens
        self._at_ns, self._starts = array("q"), array("q", (0,))
        self._inputs, self._outputs, self._sessions = array("i"), array("i"), array("q")
        self._blocks = array("i")
        self._links = LinkColumns()
        self._left_out = 0

    def add(self, rows: Rows) -> None:
        """Take rows; leave out those that asked or answered nothing.

        Raises ValueError or OverflowError where one of them cannot be, and takes none then.
        """
        if not rows.at_ns:
            return
        for end in (min, max):
            check(end(rows.at_ns), end(rows.input_tokens), end(rows.output_tokens))
        if 0 in rows.input_tokens or 0 in rows.output_tokens:
            kept = [inputs > 0 and outputs > 0 for inputs, outputs in zip(*rows[1:3], strict=True)]
            rows = rows.only(kept)
            self._left_out += kept.count(False)
        ids = self._ids(rows)
        self._links.add(rows.links)
        sizes = map(len, rows.blocks) if rows.blocks else repeat(0, len(rows.at_ns))
        self._starts.extend(islice(accumulate(sizes, initial=len(self._blocks)), 1, None))
        self._blocks.frombytes(ids.tobytes())
        self._at_ns.extend(rows.at_ns)
        self._inputs.extend(rows.input_tokens)
        self._outputs.extend(rows.output_tokens)
        self._sessions.extend(rows.sessions)

    def _ids(self, rows: Rows) -> NDArray[Any]:
        """Return the ids of the rows' blocks, one row's after another's."""
        of = self._block_tokens
        for ids, tokens in zip(rows.blocks, rows.input_tokens, strict=False):
            if ids and (len(ids) - 1) * of >= tokens:
                raise ValueError(f"{len(ids):,} blocks of {of} tokens in a prompt of {tokens:,}")
        found = np.fromiter(chain.from_iterable(rows.blocks), np.int64)
        if found.size and self._blocks.typecode == "i" and not -_LARGE <= found.min() <= found.max() < _LARGE:
            self._blocks = array("q", self._blocks)  # a hash of 64 bits in the place of a small number
        return found if self._blocks.typecode == "q" else found.astype(np.int32)

    def trace(self) -> Trace:
        """Return all rows by their times, the first at 0. Raises ConfigError where there are none."""
        if not self._at_ns:
            raise ConfigError(f"requests with answers in {self._path}", "none", "give another trace")
        at_ns = np.frombuffer(self._at_ns, np.int64)
        found = Trace(
            at_ns - at_ns.min(),
            np.frombuffer(self._inputs, np.int32),
            np.frombuffer(self._outputs, np.int32),
            np.frombuffer(self._blocks, np.int32 if self._blocks.typecode == "i" else np.int64),
            np.frombuffer(self._starts, np.int64),
            self._block_tokens,
            np.frombuffer(self._sessions, np.int64) if self._sessions else None,
            links=self._links.links(),
            left_out=self._left_out,
        ).in_order()
        if found.links is not None and (early := found.links.before_what_they_wait_for()).size:
            at_s = (found.at_ns[early[0]] + at_ns.min()) / 1e9
            raise ConfigError(
                f"rows of {self._path} to wait for rows before them", f"one at {at_s:g} s that does not", _REMEDY
            )
        return found


def check(at_ns: int, inputs: int, outputs: int) -> None:
    """Raise ValueError for a time or for lengths that no request has."""
    if not 0 <= at_ns < _LATEST_NS:
        raise ValueError(f"a time of {at_ns / 1e9:g} s")
    if not (0 <= inputs <= MOST and 0 <= outputs <= MOST):
        raise ValueError(f"{inputs:,} and {outputs:,} tokens")


def each_line(path: Path, kind: type[T], take: Callable[[T], None]) -> None:
    """Give each JSON object of a file, one a line, to `take`.

    Raises ConfigError for a line that is none of `kind`, or that `take` raises ValueError or OverflowError for.
    """
    decode = msgspec.json.Decoder(kind).decode
    for first, lines in _batches(path):
        _one_by_one(path, first, lines, lambda line: take(decode(line)))


def read_json_rows(path: Path, kind: type[T], to_rows: Callable[[Sequence[T]], Rows], columns: Columns) -> Trace:
    """Return the trace of a file with a row a line. Raises ConfigError as `each_line` does."""
    decoder = msgspec.json.Decoder(kind)
    for first, lines in _batches(path):
        try:
            found = decoder.decode_lines(b"".join(lines))
            if len(found) != len(lines) - sum(map(bytes.isspace, lines)):
                raise ValueError("an object a line")
            columns.add(to_rows(found))
        except _BAD:  # one of them is: which?
            _one_by_one(path, first, lines, lambda line: columns.add(to_rows([decoder.decode(line)])))
    return columns.trace()


def _batches(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield lines of a file, many at a time, with the number of the first of them."""
    first = 1
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, _TOGETHER)):
                if first == 1:
                    lines[0] = lines[0].removeprefix(BOM_UTF8)
                yield first, lines
                first += len(lines)
    except OSError as error:
        raise ConfigError(f"a readable trace at {path}", error.strerror, "check the path") from error


def _one_by_one(path: Path, first: int, lines: Sequence[bytes], take: Callable[[bytes], None]) -> None:
    """Give each line to `take`, but for empty ones. Raises ConfigError for one that is not to be."""
    for number, line in enumerate(lines, first):
        if not line.isspace():
            try:
                take(line)
            except _BAD as error:
                raise _bad_row(path, number, error) from error


def read_table_rows(path: Path, known: Sequence[str], optional: frozenset[str], to_rows: Callable[..., Rows]) -> Trace:
    """Return the trace of a CSV file whose first line names its columns.

    to_rows: is given the cells of each of `known`; None for one that the file does not have

    Raises ConfigError for a column that is missing or not known, and for a row that cannot be.
    """
    columns = Columns(path)
    with open_text(path) as file:
        lines = csv.reader(file)
        try:
            header = [name.strip() for name in next(lines, [])]
            _check_header(path, header, known, optional)
            places = [header.index(name) if name in header else -1 for name in known]

            def take(batch: Sequence[Sequence[str]]) -> None:
                if wrong := next((cells for cells in batch if len(cells) != len(header)), None):
                    raise ValueError(f"{len(wrong)} cells under {len(header)} columns")
                cells = [*zip(*batch, strict=True), None]
                columns.add(to_rows(*(cells[place] for place in places)))

            while batch := [(lines.line_num, cells) for cells in islice(lines, _TOGETHER)]:
                _take_table_rows(path, [(number, cells) for number, cells in batch if cells], take)
        except (csv.Error, UnicodeDecodeError) as error:
            raise _bad_row(path, lines.line_num, error) from error
    return columns.trace()


def _take_table_rows(
    path: Path, batch: Sequence[tuple[int, Sequence[str]]], take: Callable[[Sequence[Sequence[str]]], None]
) -> None:
    """Give numbered rows to `take`, together or else one by one. Raises ConfigError for one that cannot be."""
    if not batch:
        return
    try:
        take([cells for _, cells in batch])
    except _BAD:  # one of them is: which?
        for number, cells in batch:
            try:
                take([cells])
            except _BAD as error:
                raise _bad_row(path, number, error) from error


def _check_header(path: Path, header: Sequence[str], known: Sequence[str], optional: frozenset[str]) -> None:
    if missing := [name for name in known if name not in header and name not in optional]:
        raise ConfigError(f"columns {', '.join(known)} in {path}", f"no {missing[0]}", "name its --trace-format")
    if twice := [name for name, times in Counter(header).items() if times > 1]:
        raise ConfigError(f"each column of {path} once", twice[0], "take the other out")
    if unknown := [name for name in header if name not in known]:
        raise ConfigError(f"columns {', '.join(known)} in {path}", unknown[0], "take that column out")


def _bad_row(path: Path, number: int, error: Exception) -> ConfigError:
    return ConfigError(f"a row of a trace at {path}:{number}", error, _REMEDY)
