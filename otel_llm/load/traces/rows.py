"""Reads the rows of a trace into columns. An error names the file, the row and what to do."""

import csv
from array import array
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_text
from otel_llm.load.prompts.token_lengths import MOST
from otel_llm.load.traces.links import LinkColumns
from otel_llm.load.traces.trace import Trace

__all__ = ["Columns", "Row", "RowLink", "check", "each_line", "read_json_rows", "read_table_rows"]

_LATEST_NS: Final = 1 << 62
_REMEDY: Final = "correct the row, or take it out"

T = TypeVar("T")


class RowLink(NamedTuple):
    """What a row waits for.

    key:     the number by which other rows know it
    after:   the keys of rows whose answers it waits for. One that the trace does not have is not waited for
    wait_ns: how long after the last of these answers it was sent; None where the trace does not say
    agent:   a number of who asked, where a trace tells several apart
    """

    key: int
    after: Sequence[int] = ()
    wait_ns: int | None = None
    agent: int | None = None


class Row(NamedTuple):
    """A row as every trace has it. at_ns: on the trace's own clock; link: None where no row waits for another"""

    at_ns: int
    input_tokens: int
    output_tokens: int
    blocks: Sequence[int] = ()
    session: int | None = None
    link: RowLink | None = None


class Columns:
    """Takes rows, checks them, and gives the trace. block_tokens: of one block, where rows have blocks"""

    def __init__(self, path: Path, block_tokens: int = 0) -> None:
        self._path, self._block_tokens = path, block_tokens
        self._at_ns, self._starts = array("q"), array("q", (0,))
        self._inputs, self._outputs, self._sessions = array("i"), array("i"), array("q")
        self._blocks = array("i")
        self._links = LinkColumns()
        self._left_out = 0

    def add(self, row: Row) -> None:
        """Take a row; leave out one that asked or answered nothing. Raises ValueError for one that cannot be."""
        at_ns, inputs, outputs, blocks, session, link = row
        check(at_ns, inputs, outputs)
        if blocks and (len(blocks) - 1) * self._block_tokens >= inputs:
            raise ValueError(f"{len(blocks):,} blocks of {self._block_tokens} tokens in a prompt of {inputs:,}")
        if not (inputs and outputs):
            self._left_out += 1
            return
        if blocks:
            self._add_blocks(blocks)
        self._at_ns.append(at_ns)
        self._inputs.append(inputs)
        self._outputs.append(outputs)
        self._starts.append(len(self._blocks))
        if session is not None:
            self._sessions.append(session)
        if link is not None:
            self._links.add(*link)

    def _add_blocks(self, blocks: Sequence[int]) -> None:
        try:
            self._blocks.extend(blocks)
        except OverflowError:  # a hash of 64 bits in the place of a small number
            self._blocks = array("q", self._blocks[: self._starts[-1]])
            self._blocks.extend(blocks)

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
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.isspace():
                    continue
                try:
                    take(decode(line.removeprefix(BOM_UTF8) if number == 1 else line))
                except (msgspec.MsgspecError, ValueError, OverflowError) as error:
                    raise _bad_row(path, number, error) from error
    except OSError as error:
        raise ConfigError(f"a readable trace at {path}", error.strerror, "check the path") from error


def read_json_rows(path: Path, kind: type[T], to_row: Callable[[T], Row], columns: Columns) -> Trace:
    """Return the trace of a file with a row a line. Raises ConfigError as `each_line` does."""
    each_line(path, kind, lambda line: columns.add(to_row(line)))
    return columns.trace()


def read_table_rows(
    path: Path, known: Sequence[str], optional: frozenset[str], to_row: Callable[[dict[str, str]], Row]
) -> Trace:
    """Return the trace of a CSV file whose first line names its columns.

    Raises ConfigError for a column that is missing or not known, and for a row that cannot be.
    """
    columns = Columns(path)
    with open_text(path) as file:
        rows = csv.reader(file)
        try:
            header = [name.strip() for name in next(rows, [])]
            if missing := [name for name in known if name not in header and name not in optional]:
                raise ConfigError(
                    f"columns {', '.join(known)} in {path}", f"no {missing[0]}", "name its --trace-format"
                )
            if twice := [name for name, times in Counter(header).items() if times > 1]:
                raise ConfigError(f"each column of {path} once", twice[0], "take the other out")
            if unknown := [name for name in header if name not in known]:
                raise ConfigError(f"columns {', '.join(known)} in {path}", unknown[0], "take that column out")
            for cells in rows:
                if cells:
                    try:
                        if len(cells) != len(header):
                            raise ValueError(f"{len(cells)} cells under {len(header)} columns")
                        columns.add(to_row(dict(zip(header, cells, strict=True))))
                    except (ValueError, OverflowError) as error:
                        raise _bad_row(path, rows.line_num, error) from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise _bad_row(path, rows.line_num, error) from error
    return columns.trace()


def _bad_row(path: Path, number: int, error: Exception) -> ConfigError:
    return ConfigError(f"a row of a trace at {path}:{number}", error, _REMEDY)
