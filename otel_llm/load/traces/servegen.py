"""ServeGen's clients (alibaba/ServeGen): rates, gaps and lengths of each, from which requests are drawn.

A folder has two files for each client. `chunk-N-trace.csv` has a row for every ten minutes: start in seconds, requests
per second, coefficient of variation of the gaps, their law, its shape and scale; without a law there are no requests.
`chunk-N-dataset.json` has histograms of lengths for every six hours; of clients that send images also of how many, and
of the tokens of each.
"""

import ast
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_text
from otel_llm.load.prompts.token_lengths import MOST
from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.trace import Trace

__all__ = ["SERVEGEN"]

Ints = NDArray[np.int64]
Tokens = NDArray[np.int32]
Floats = NDArray[np.float64]

_TRACE: Final = re.compile(r"chunk-(\d+)-trace\.csv")
_NEEDED: Final = (("input_tokens", "text_tokens"), ("output_tokens",))
"""The lengths of prompts, under the name of clients with media too, and of answers."""
_MEDIA: Final = ("image", "audio", "video")
_LAWS: Final[Mapping[str, Callable[[np.random.Generator, float, int], Floats]]] = {
    "Gamma": lambda rng, shape, number: rng.gamma(shape, size=number),
    "Weibull": lambda rng, shape, number: rng.weibull(shape, size=number),
}
_MOST_REQUESTS: Final = 5_000_000
_CELLS: Final = 6
_SHAPES: Final = (1e-4, 1e4)
_ONLY_WINDOW_S: Final = 600.0
_REMEDY: Final = "correct it, or leave the client's files out"


class _Window(NamedTuple):
    """A time in which a client sends at one rate; s from the start of the trace."""

    begins_s: float
    ends_s: float
    rate: float
    law: str
    shape: float

    @property
    def requests(self) -> int:
        """How many requests it has."""
        return round(self.rate * (self.ends_s - self.begins_s))

    def times_ns(self, rng: np.random.Generator) -> Ints:
        """Draw when they are sent, ns from the start of the trace: gaps of the law that fill the window together."""
        gaps: Floats = _LAWS[self.law](rng, self.shape, self.requests + 1) + np.finfo(np.float64).tiny
        shares: Floats = np.cumsum(gaps[:-1]) / gaps.sum()
        at_s = self.begins_s + (self.ends_s - self.begins_s) * shares
        return np.rint(at_s * 1e9).astype(np.int64)


class _Histogram(NamedTuple):
    """Lengths in tokens, and the share of those up to each."""

    lengths: Tokens
    shares: Floats

    def draw(self, rng: np.random.Generator, number: int) -> Tokens:
        return self.lengths[np.minimum(np.searchsorted(self.shares, rng.random(number)), len(self.lengths) - 1)]


class _Prompts(NamedTuple):
    """Lengths of prompts. media: of each kind, how many a prompt has, and the tokens of one"""

    text: _Histogram
    media: Sequence[tuple[_Histogram, _Histogram]]

    def draw(self, rng: np.random.Generator, number: int) -> Tokens:
        """Draw the tokens of so many prompts; an image or a recording is text of as many tokens."""
        tokens = self.text.draw(rng, number)
        for count, each in self.media:
            of = np.repeat(np.arange(number), count.draw(rng, number))
            tokens = tokens + np.bincount(of, each.draw(rng, len(of)), minlength=number).astype(np.int32)
        return np.maximum(tokens, 1)


class _Lengths:
    """The lengths of a client's requests over time. Raises ConfigError where its file does not say them."""

    def __init__(self, trace: Path) -> None:
        self._file = trace.with_name(trace.name.replace("-trace.csv", "-dataset.json"))
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=dict[float, dict[str, str]])
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"histograms of lengths in {self._file}", error, _REMEDY) from error
        self._texts = {begins: texts for begins, texts in sorted(found.items()) if "{}" not in texts.values()}
        self._read = dict[float, tuple[_Prompts, _Histogram]]()

    def at(self, begins_s: float) -> tuple[_Prompts, _Histogram]:
        """Return the lengths of prompts, and of answers, in a window: the last that were stated, or else the first."""
        if not self._texts:
            raise ConfigError(f"histograms of lengths in {self._file}", "none", _REMEDY)
        stated = max((begins for begins in self._texts if begins <= begins_s), default=min(self._texts))
        if stated not in self._read:
            self._read[stated] = self._histograms(self._texts[stated], f"{self._file}, {stated:g} s")
        return self._read[stated]

    def _histograms(self, texts: Mapping[str, str], place: str) -> tuple[_Prompts, _Histogram]:
        found = [next((texts[name] for name in names if name in texts), None) for names in _NEEDED]
        if None in found:
            names = " or ".join(_NEEDED[found.index(None)])
            raise ConfigError(f"a histogram of {names} at {place}", "none", _REMEDY)
        asked, answered = (_histogram(text or "", place) for text in found)
        media = [
            (_histogram(texts[f"{kind}_count"], place), _histogram(texts[f"{kind}_tokens"], place))
            for kind in _MEDIA
            if f"{kind}_count" in texts and f"{kind}_tokens" in texts
        ]
        return _Prompts(asked, media), answered._replace(lengths=np.maximum(answered.lengths, 1))


def _draw(path: Path, part: Part) -> Trace:
    """Return the requests of all clients in the windows that a part of the time touches.

    What a client does in a window depends on the seed alone, whatever part is drawn.
    """
    windows = {file: [window for window in _windows(file) if _touches(window, part)] for file in _traces(path)}
    if (number := sum(window.requests for each in windows.values() for window in each)) > _MOST_REQUESTS:
        raise ConfigError(f"{_MOST_REQUESTS:,} requests of {path} at most", f"{number:,}", "take less with --to")
    if not number:
        raise ConfigError(f"requests in this part of {path}", "none", "give another --from and --to")
    times, inputs, outputs, clients = list[Ints](), list[Tokens](), list[Tokens](), list[Ints]()
    for file, each in windows.items():
        lengths = _Lengths(file)
        for window in each:
            rng = np.random.default_rng((part.seed, _client(file), round(window.begins_s)))
            asked, answered = lengths.at(window.begins_s)
            times.append(window.times_ns(rng))
            inputs.append(asked.draw(rng, window.requests))
            outputs.append(answered.draw(rng, window.requests))
            clients.append(np.full(window.requests, _client(file)))
    rows = np.concatenate(times), np.concatenate(inputs), np.concatenate(outputs)
    no_blocks = np.empty(0, np.int32), np.zeros(number + 1, np.int64)
    return Trace(*rows, *no_blocks, sessions=np.concatenate(clients)).in_order()


def _traces(path: Path) -> Sequence[Path]:
    """Return the files with the rates of clients, by the clients' numbers: a folder's, or the one that is given."""
    files = list(path.iterdir()) if path.is_dir() else [path]
    return sorted((file for file in files if _TRACE.fullmatch(file.name)), key=_client)


def _client(file: Path) -> int:
    """Return the number of a client, by the name of its file."""
    found = _TRACE.fullmatch(file.name)
    return int(found[1]) if found else 0


def _touches(window: _Window, part: Part) -> bool:
    return window.begins_s < part.to_s and part.from_s < window.ends_s


def _windows(file: Path) -> Iterator[_Window]:
    """Yield the windows in which a client sends. Raises ConfigError for a row that cannot be."""
    rows = list[tuple[float, float, str, float]]()
    with open_text(file) as lines:
        table = csv.reader(lines)
        try:
            for cells in table:
                if len(cells) != _CELLS:
                    raise ValueError(f"{len(cells)} cells")
                begins, rate, _, law, shape, _ = cells
                row = float(begins), float(rate), law, float(shape)
                low, high = _SHAPES
                if law and (law not in _LAWS or not low <= row[3] <= high or not 0 < row[1] < inf):
                    raise ValueError(f"gaps of {law} with shape {shape} at {rate} a second")
                if not (rows[-1][0] if rows else -1) < row[0] < inf:
                    raise ValueError(f"a window at {begins} s after one at {rows[-1][0]:g} s" if rows else begins)
                rows.append(row)
        except (csv.Error, UnicodeDecodeError, ValueError) as error:
            place = f"{file}:{table.line_num}"
            raise ConfigError(f"start, rate, variation, law, shape, scale at {place}", error, _REMEDY) from error
    last_s = rows[-1][0] - rows[-2][0] if len(rows) > 1 else _ONLY_WINDOW_S
    ends = [*(row[0] for row in rows[1:]), *(row[0] + last_s for row in rows[-1:])]
    yield from (_Window(row[0], end, *row[1:]) for row, end in zip(rows, ends, strict=True) if row[2])


def _histogram(text: str, place: str) -> _Histogram:
    """Return the histogram of a text such as `{128: 0.25, 256: 0.75}`."""
    try:
        found: Mapping[object, object] = ast.literal_eval(text)
        pairs = sorted((int(str(length)), float(str(share))) for length, share in found.items())
        lengths, shares = (np.array(column) for column in zip(*pairs, strict=True))
        if not (lengths[0] >= 0 and lengths[-1] <= MOST and (shares >= 0).all() and 0 < shares.sum() < inf):
            raise ValueError(f"lengths from {lengths[0]:,} to {lengths[-1]:,}, shares of {shares.sum():g} in all")
    except (ValueError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError) as error:
        raise ConfigError(f"a histogram as {{LENGTH: SHARE}} at {place}", error, _REMEDY) from error
    return _Histogram(lengths.astype(np.int32), np.cumsum(shares) / shares.sum())


SERVEGEN: Final = TraceFormat(
    "a folder of clients: rates, laws of gaps and histograms of lengths, from which requests are drawn",
    lambda head: bool(_traces(head.path)),
    _draw,
)
