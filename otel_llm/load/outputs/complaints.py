"""What exporters complain of while a run goes on, for one line of the report in place of many on the terminal."""

import logging
from collections.abc import Callable
from typing import Final

__all__ = ["Complaints"]

_LOGGERS: Final = ("opentelemetry", "urllib3")
_LONGEST: Final = 300
_NO_REASON: Final = ("Shutdown in progress", "already shutdown", "max retries or shutdown")
"""How an exporter says that it gave up, after it has said why."""


class Complaints(logging.Handler):
    """Keeps the last warning or error of the SDK, without secrets. strike: takes them out."""

    def __init__(self, strike: Callable[[str], str]) -> None:
        super().__init__(logging.WARNING)
        self._strike = strike
        self._before: dict[str, bool] = {}
        self.last: str | None = None

    def listen(self) -> None:
        """Take what the loggers of exporters say, and keep it from the terminal."""
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._before[name], logger.propagate = logger.propagate, False
            logger.addHandler(self)

    def stop(self) -> None:
        """Give the loggers back as they were."""
        for name, propagate in self._before.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.propagate = propagate
        self._before = {}

    def emit(self, record: logging.LogRecord) -> None:
        said = " ".join(self._strike(record.getMessage()).split())[:_LONGEST]
        if self.last is None or not any(words in said for words in _NO_REASON):
            self.last = said
