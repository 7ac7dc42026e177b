"""The base class of parser files that were written for `llmuses perf`."""

import sys
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_llm.load.prompts.reading import read_json_list, read_lines

__all__ = ["PerfPluginBase"]


class PerfPluginBase:
    """The two methods that a parser file must define, and two that read datasets. The constructor takes nothing."""

    @abstractmethod
    def build_request(
        self,
        model: str,
        prompt: str | None = None,
        dataset: str | None = None,
        max_length: int = sys.maxsize,
        min_length: int = 0,
        **kwargs: Any,
    ) -> Iterator[dict[str, Any]]:
        """Yield request bodies: one for `prompt` if it is given, else one for each item of the file `dataset`.

        min_length, max_length: in characters, exclusive on both sides
        kwargs: the parameters of the command line
        """
        raise NotImplementedError(f"{type(self).__name__}.build_request")

    @abstractmethod
    def parse_responses(self, responses: list[str], **kwargs: Any) -> tuple[int, int]:
        """Return (tokens of the prompt, tokens of the answer).

        responses: the data of each event of a stream, without end markers; for a whole answer, its body
        kwargs: `request`, the body that was sent, and `parameters`, those of the command line
        """
        raise NotImplementedError(f"{type(self).__name__}.parse_responses")

    def dataset_line_by_line(self, dataset: str) -> Iterator[str]:
        """Yield each line of a text file, without its end; blank lines are skipped."""
        return (line for _, line in read_lines(Path(dataset)))

    def dataset_json_list(self, dataset: str) -> Iterator[Any]:
        """Yield each item of a file that is one JSON list."""
        return (item for _, item in read_json_list(Path(dataset)))
