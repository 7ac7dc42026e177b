"""The parts the stack and the tests run: Collector, Prometheus, Jaeger and a model server, each on loopback."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.ports import HOST, free
from tools.process import PartProcess

COLLECTOR = Path(__file__).parent.parent / "collector"
CONFIG, SERVERS = COLLECTOR / "config", COLLECTOR / "servers"
STACK = (CONFIG / "base.yaml", CONFIG / "stores" / "prometheus.yaml", CONFIG / "stores" / "jaeger.yaml")
QUERY_TIMEOUT_S = 10.0


class Prometheus(PartProcess):
    """A metrics store that takes OTLP."""

    name = "prometheus"

    def __init__(
        self, executable: Path, data: Path, *, port: int | None = None, config: Path = SERVERS / "prometheus.yaml"
    ) -> None:
        super().__init__(data)
        self.executable, self.config = executable, config
        self.port = free(port)
        self.url = f"http://{HOST}:{self.port}"
        self.otlp = f"{self.url}/api/v1/otlp"
        self.ready_url = f"{self.url}/-/ready"

    def command(self) -> list[str]:
        return [
            str(self.executable),
            f"--config.file={self.config}",
            f"--storage.tsdb.path={self.data / 'tsdb'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage,st-storage,use-start-timestamps",
        ]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query, as the HTTP API gives it."""
        answer = _get_json(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """The exemplars of the last hour of the series that `selector` names, as the HTTP API gives them."""
        now = time.time()
        asked = urllib.parse.urlencode({"query": selector, "start": now - 3600, "end": now + 60})
        answer = _get_json(f"{self.url}/api/v1/query_exemplars?{asked}")
        return [exemplar for series in answer["data"] for exemplar in series["exemplars"]]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health, last error and how long it took, s."""
        return [rule for group in self._groups() for rule in group["rules"]]

    def evaluated(self) -> dict[str, str]:
        """When each group of rules was last evaluated, by its name; without those that are for once a minute."""
        return {group["name"]: group["lastEvaluation"] for group in self._groups() if group["interval"] < 60}

    def _groups(self) -> list[dict[str, Any]]:
        return list(_get_json(f"{self.url}/api/v1/rules")["data"]["groups"])


class Jaeger(PartProcess):
    """A trace store, in memory, that takes OTLP over gRPC."""

    name = "jaeger"

    def __init__(
        self, executable: Path, data: Path, *, port: int | None = None, config: Path = SERVERS / "jaeger.yaml"
    ) -> None:
        super().__init__(data)
        self.executable, self.config = executable, config
        self.port = free(port)
        self.url = f"http://{HOST}:{self.port}"
        self.otlp = f"{HOST}:{free()}"
        self._query_grpc, self._health = f"{HOST}:{free()}", f"{HOST}:{free()}"
        self.ready_url = f"http://{self._health}/status"

    def command(self) -> list[str]:
        return [str(self.executable), f"--config=file:{self.config}"]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "JAEGER_OTLP": self.otlp,
            "JAEGER_QUERY_HTTP": f"{HOST}:{self.port}",
            "JAEGER_QUERY_GRPC": self._query_grpc,
            "JAEGER_HEALTH": self._health,
        }

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of one trace, as the query API gives them; none while it is unknown."""
        try:
            answer = _get_json(f"{self.url}/api/traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return [span for trace in answer["data"] for span in trace["spans"]]

    def search(self, **asked: str) -> list[dict[str, Any]]:
        """The traces that a search finds, as the query API gives them; asked: its parameters."""
        answer = _get_json(f"{self.url}/api/traces?{urllib.parse.urlencode(asked)}")
        return list(answer["data"])


class Collector(PartProcess):
    """An OpenTelemetry Collector that takes OTLP and sends metrics to Prometheus, traces to Jaeger.

    `config` files are merged in order, so one that is added needs to hold only what differs; a store that is not
    given keeps the address the configuration has for it. `variables` fill the `${env:NAME}` of added files.
    """

    name = "otelcol"

    def __init__(
        self,
        executable: Path,
        data: Path,
        *,
        prometheus: Prometheus | None = None,
        jaeger: Jaeger | None = None,
        grpc_port: int | None = None,
        http_port: int | None = None,
        config: Sequence[Path] = STACK,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data)
        self.executable, self.config = executable, config
        self.grpc_port, self.http_port = free(grpc_port), free(http_port)
        self.grpc, self.http = f"http://{HOST}:{self.grpc_port}", f"http://{HOST}:{self.http_port}"
        metrics_port, health = free(), f"{HOST}:{free()}"
        self.metrics_url = f"http://{HOST}:{metrics_port}/metrics"
        self.ready_url = f"http://{health}/"
        self._variables = {
            "COLLECTOR_OTLP_GRPC": f"{HOST}:{self.grpc_port}",
            "COLLECTOR_OTLP_HTTP": f"{HOST}:{self.http_port}",
            "COLLECTOR_METRICS_PORT": str(metrics_port),
            "COLLECTOR_HEALTH": health,
            "COLLECTOR_STORAGE": str(data.absolute() / "queue"),
            **({"PROMETHEUS_OTLP": prometheus.otlp} if prometheus else {}),
            **({"JAEGER_OTLP": jaeger.otlp} if jaeger else {}),
            **(variables or {}),
        }

    def command(self) -> list[str]:
        return [str(self.executable), *(f"--config=file:{file}" for file in self.config)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self._variables}


class View(PartProcess):
    """`otel-llm view`: the page of what the Collector passes on."""

    name = "view"

    def __init__(self, executable: Path, data: Path, *, port: int | None = None) -> None:
        super().__init__(data)
        self.executable = executable
        self.port, self._otlp_port = free(port), free()
        self.ready_url = f"http://{HOST}:{self.port}/"
        self.otlp = f"http://{HOST}:{self._otlp_port}"

    def command(self) -> list[str]:
        ports = ("--port", str(self.port), "--grpc-port", "0", "--http-port", str(self._otlp_port))
        return [str(self.executable), "view", *ports, "--file", str(self.data.absolute() / "view.db")]


class InferenceSim(PartProcess):
    """llm-d-inference-sim: a foreign model server with a known first-token time and inter-token gap.

    It has no option for the address and listens on every interface of the machine. `arguments` come last, so they
    win over what stands here.
    """

    name = "llm-d-inference-sim"
    model = "test-model"

    def __init__(
        self,
        executable: Path,
        data: Path,
        *,
        first_token_ms: int = 100,
        between_tokens_ms: int = 20,
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(data)
        self.executable = executable
        self.first_token_ms, self.between_tokens_ms, self.arguments = first_token_ms, between_tokens_ms, arguments
        self.port = free()
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}/health"

    def command(self) -> list[str]:
        return [
            str(self.executable),
            *("--model", self.model, "--force-dummy-tokenizer"),
            *("--port", str(self.port)),
            *("--time-to-first-token", f"{self.first_token_ms}ms"),
            *("--inter-token-latency", f"{self.between_tokens_ms}ms"),
            *self.arguments,
        ]


def _get_json(url: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: no proxy from the environment
    with opener.open(url, timeout=QUERY_TIMEOUT_S) as answer:
        return json.load(answer)
