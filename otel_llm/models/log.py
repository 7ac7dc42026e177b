"""A log file of one model's own, which leaves every other logger of the process as it is."""

import logging
import os

from otel_llm.instrumentation.calls.destination import LOG

__all__ = ["file_logger"]


def file_logger(path: str | os.PathLike[str]) -> logging.Logger:
    """Return a logger at INFO that writes `YYYY-mm-dd HH:MM:SS - message` lines to `path`, and passes them on.

    It is not registered: a program may make as many as it has models, and they are gone when the models are.
    """
    logger = logging.Logger("otel_llm.model", logging.INFO)
    logger.parent = LOG
    handler = logging.FileHandler(path, encoding="utf-8", delay=False)
    handler.setFormatter(logging.Formatter("%(asctime)s - %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    return logger
