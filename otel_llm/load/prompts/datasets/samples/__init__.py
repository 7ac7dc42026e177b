"""Small sets of prompts that come with the package, in the forms of the datasets they are named after.

All of it is our own: `python -m otel_llm.load.prompts.datasets.samples` writes the sets anew.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["FILES", "contents", "sample"]

FILES: Final = {"line_by_line": "questions.txt", "openqa": "open_qa.jsonl", "longalpaca": "long.json"}
"""File name of the sample by the name of its dataset."""

_ASKS: Final = (
    "What is {} good for, in two sentences?",
    "How would you explain {} to a child?",
    "Name three common mistakes people make with {}.",
    "What should a beginner know about {} before the first day?",
    "请用两句话介绍一下{}。",
)
_TOPICS: Final = (
    ("a compass", "指南针"),
    ("compound interest", "复利"),
    ("bread dough", "面团"),
    ("a bicycle gear", "自行车变速器"),
    ("the water cycle", "水循环"),
    ("a public library", "公共图书馆"),
    ("chess openings", "象棋开局"),
    ("version control", "版本控制"),
)
_FACTS: Final = (
    "On day {} the station counted {} boats in the harbour and {} on the river.",
    "The keeper of day {} wrote {} letters and received {} in return.",
    "In the log of day {} the wind turned {} times, and {} lamps were lit.",
)


def sample(dataset: str) -> Path | None:
    """Return the path of the sample in the form of that dataset, None when there is none."""
    return Path(__file__).parent / FILES[dataset] if dataset in FILES else None


def contents() -> dict[str, str]:
    """Return what each sample file holds, by file name. The same at every call."""
    asked = list(_questions())
    lines = "".join(f"{question}\n" for question in asked)
    objects = "".join(json.dumps({"question": question}, ensure_ascii=False) + "\n" for question in asked)
    items = [{"instruction": text} for text in _logbooks()]
    return {
        FILES["line_by_line"]: lines,
        FILES["openqa"]: objects,
        FILES["longalpaca"]: json.dumps(items, ensure_ascii=False, indent=1) + "\n",
    }


def _questions() -> Iterator[str]:
    for ask, (english, chinese) in itertools.product(_ASKS, _TOPICS):
        yield ask.format(chinese if ask.isascii() is False else english)


def _logbooks(count: int = 12, days: int = 30) -> Iterator[str]:
    """Yield texts of about 2,000 characters with a question at the end that only a reader of all of it can answer."""
    for book in range(count):
        log = " ".join(
            _FACTS[(book + day) % len(_FACTS)].format(day, (7 * day + book) % 23, (5 * day + 3 * book) % 17)
            for day in range(1, days + 1)
        )
        yield f"Below is logbook {book + 1}.\n{log}\nOn which day is the first number largest, and what does it count?"
