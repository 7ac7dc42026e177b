"""`otel-llm perf`, with its run file and OTLP, and the raw client that does the least which still is one."""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.peers.adapter import Load, Reading

__all__ = ["Perf", "Raw"]

FLOOR = Path(__file__).parent.parent / "floor.py"
PATH = "/v1/chat/completions"


class Perf:
    """What is measured here. `endpoint` takes its telemetry; `more` are further options, which its name shows."""

    environment = None

    def __init__(self, endpoint: str, *more: str) -> None:
        self.name = " ".join(("otel-llm perf", *more))
        self._endpoint, self._more = endpoint, more

    def command(self, load: Load, folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "otel_llm.cli", "perf", "--url", load.url + PATH,
            "--model", load.model, "--prompt", load.prompt, "--parallel", str(load.streams), "-n", str(load.requests),
            "--log-every-n-query", "1000000", "--otlp-endpoint", self._endpoint, "--name", "run.db",
            "--json", "report.json", *self._more,
        ]  # fmt: skip

    def read(self, folder: Path, said: str) -> Reading:
        report = json.loads((folder / "report.json").read_text())
        first, gap = (report["measures"][name] for name in ("time_to_first_token", "inter_token_latency"))
        return Reading(
            ttft_mean=first["mean"],
            ttft_p99=first["p99"],
            itl_p50=gap["p50"],
            itl_p99=gap["p99"],
            tokens=report["tokens"]["output"],
            said_late="; ".join(report["client"]["reasons"]),
        )


class Raw:
    """benchmarks.floor: a uvloop Protocol with orjson. All streams begin in one turn of the loop."""

    name, environment = "raw client", None

    def command(self, load: Load, folder: Path) -> list[str]:
        place = urlsplit(load.url)
        sizes = [str(number) for number in (load.streams, load.requests, load.tokens, 0)]
        return [sys.executable, str(FLOOR), str(place.hostname), str(place.port), PATH, *sizes, "protocol"]

    def read(self, folder: Path, said: str) -> Reading:
        found = json.loads(said.splitlines()[-1])
        return Reading(**{name: found[name] for name in ("ttft_mean", "ttft_p99", "itl_p50", "itl_p99")})
