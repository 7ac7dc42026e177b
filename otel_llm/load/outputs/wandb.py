"""A run in Weights & Biases, as `llmuses perf` logged it: the log line's keys after every request."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.figures.stats import Stats
from otel_llm.load.show import llmuses_format as document
from otel_llm.measures import Facts

__all__ = ["WandbReporter", "load_wandb"]

PROJECT: Final = "perf_benchmark"


def load_wandb() -> Any:
    """Return the library. Raises ConfigError, before any request, when it is not installed."""
    try:
        import wandb
    except ImportError:
        raise ConfigError(
            "the package wandb for --wandb-api-key", None, "pip install 'otel-llm[wandb]'"
        ) from None  # fmt: skip
    return wandb


class WandbReporter:
    """Logs the averages so far after every request. `WANDB_MODE=offline` keeps it on this machine, as ever."""

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

    def add(self, facts: Sequence[Facts], met: Sequence[bool] | None) -> None:
        """Log after each of the requests."""
        for fact in facts:
            self._stats.add((fact,))
            self._run.log(document.log_fields(self._stats, self._concurrency))

    def close(self, report: Mapping[str, Any], loop_lag_ns: Sequence[int]) -> None:
        """End the run there; what was lost before it could be sent is in the report alone."""
        self._run.finish()
