"""A run in Weights & Biases, logged as `llmuses perf` did: the keys of the log line after every request."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.figures.stats import Stats
from otel_llm.load.show.llmuses_format import log_fields
from otel_llm.sinks import Ended

__all__ = ["WandbSink", "load_wandb"]

PROJECT: Final = "perf_benchmark"


def load_wandb() -> Any:
    """Return the library. Raises ConfigError, before any request, when it is not installed."""
    try:
        import wandb
    except ImportError:
        next_step = "run pip install 'otel-llm[wandb]'"
        raise ConfigError("the package wandb for --wandb-api-key", next_step=next_step) from None
    return wandb


class WandbSink:
    """A sink that logs the averages so far after every request. `WANDB_MODE=offline` keeps them on this machine."""

    def __init__(self, key: str, head: Mapping[str, Any], model: str, planned: int, concurrency: int) -> None:
        """Raises ConfigError when the library does not take the key or cannot start a run."""
        wandb = load_wandb()
        try:
            wandb.login(key=key)
            config = {"model": model, "time": head["started_at"]}
            self._run = wandb.init(project=PROJECT, name=head["name"], config=config)
        except Exception as error:
            reason = str(error).replace(key, "[redacted]").split("\n")[0]
            raise ConfigError("Weights & Biases to start a run", reason, "WANDB_MODE=offline goes without it") from None
        self._stats, self._concurrency = Stats(planned), concurrency

    def take(self, ended: Sequence[Ended]) -> None:
        """Log the averages after each request."""
        for call in ended:
            self._stats.add((call.facts,))
            self._run.log(log_fields(self._stats, self._concurrency))

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """End the run there. Requests that were never sent are in the report only."""
        self._run.finish()
