"""The progress of a run: a few lines that are redrawn in a terminal, plain log lines anywhere else."""

import logging
import os
import sys
from contextlib import suppress
from typing import Final, Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.plan import ENDLESS
from otel_llm.load.show.llmuses_format import log_fields, log_line
from otel_llm.percentiles import BRIEF, percentile_name

__all__ = ["Display", "log", "set_level"]

log: Final = logging.getLogger("perf")

_REDRAW_NS: Final = 250_000_000
_RECENT: Final = 20_000
_FORMAT: Final = "%(asctime)s - %(name)s - %(filename)s - %(funcName)s - %(lineno)d - %(levelname)s - %(message)s"


def set_level(*, debug: bool = False) -> None:
    """Set the level of the log: everything with `debug`, else what LOGGING_LEVEL says (info when it is not set).

    Raises ConfigError when LOGGING_LEVEL names no level.
    """
    name = os.environ.get("LOGGING_LEVEL") or "info"
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    if name.lower() not in levels:
        raise ConfigError(f"LOGGING_LEVEL out of {', '.join(levels)}", name)
    log.setLevel(logging.DEBUG if debug else levels[name.lower()])


class Display:
    """Shows a run on standard error. Use it as a context manager; `turn` about ten times a second.

    both: in a terminal, write log lines above the lines that are redrawn
    """

    def __init__(self, stats: Stats, concurrency: int, title: str, *, both: bool = False) -> None:
        self._stats, self._concurrency, self._title, self._both = stats, concurrency, title, both
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._drawn_ns = self._began_ns = now_ns()

    def __enter__(self) -> Self:
        handler: logging.Handler
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            handler = RichHandler(console=self._console, show_path=False, show_level=False, markup=False)
        else:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter(_FORMAT))
        self._handler = handler
        log.addHandler(handler)
        log.propagate = False
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        log.removeHandler(self._handler)
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()

    @property
    def logs(self) -> bool:
        """Whether `log` writes lines, as it does where no terminal shows the run."""
        return self._live is None or self._both

    def log(self) -> None:
        """Log where the run stands, unless a terminal shows it."""
        if self.logs:
            log.info(log_line(log_fields(self._stats, self._concurrency)))

    def turn(self, sent: int, in_flight: int) -> None:
        """Redraw, if the last time was long enough ago."""
        now = now_ns()
        if self._live is not None and now - self._drawn_ns >= _REDRAW_NS:
            self._drawn_ns = now
            with suppress(OSError):  # a terminal that has gone takes no run with it
                self._live.update(self._draw(sent, in_flight, (now - self._began_ns) / 1e9), refresh=True)

    def _draw(self, sent: int, in_flight: int, elapsed_s: float) -> Table:
        stats = self._stats
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text(self._title, style="bold"), f"{elapsed_s:,.0f} s")
        known = stats.planned < ENDLESS
        bar = ProgressBar(total=stats.planned if known else None, completed=stats.ended, width=40, pulse=not known)
        of = f" of {stats.planned:,}" if known else ""
        grid.add_row(bar, f"{stats.ended:,}{of} ended · {in_flight:,} in progress · {sent:,} sent")
        failed = Text(f"{stats.failed:,} failed", style="red" if stats.failed else "dim")
        grid.add_row(_pace(stats), failed)
        for label, name in (("first token", "time_to_first_token"), ("inter-token", "inter_token_latency")):
            grid.add_row(label, _recent(stats, name))
        return grid


def _pace(stats: Stats) -> str:
    took = stats.duration_s
    if not took:
        return "waiting for the first answer"
    return f"{stats.succeeded / took:,.1f} requests/s · {stats.output_tokens / took:,.0f} tokens/s"


def _recent(stats: Stats, name: str) -> str:
    """Return the percentiles of the latest values only: they show what is happening now."""
    values = stats.values[name].recent(_RECENT)
    if not len(values):
        return "-"
    found = zip(BRIEF, np.percentile(values, BRIEF) * 1e3, strict=True)
    return " · ".join(f"{percentile_name(q)} {ms:,.1f} ms" for q, ms in found)
