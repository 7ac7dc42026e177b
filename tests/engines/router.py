"""Routers in front of another server: the gateway of SGLang (smg), and vLLM's router."""

from pathlib import Path

from tools.engines import SGLANG_ROUTER, VLLM_ROUTER
from tools.ports import HOST, free
from tools.process import PartProcess


class Router(PartProcess):
    """`name` says which: "sglang-router" or "vllm-router"; `upstream` is the address of the server behind it."""

    def __init__(self, data: Path, name: str, upstream: str) -> None:
        self.name = name
        super().__init__(data)
        self._upstream, self._port, self._metrics = upstream, free(), free()
        self.url = f"http://{HOST}:{self._port}"
        self.metrics_url = f"http://{HOST}:{self._metrics}/metrics"
        # vLLM's listens as soon as the server behind it answers, SGLang's before
        self.ready_url = f"{self.url}/{'readiness' if name == 'sglang-router' else 'health'}"

    def command(self) -> list[str]:
        smg, vllm = (*SGLANG_ROUTER.script("smg"), "launch"), VLLM_ROUTER.script("vllm-router")
        return [
            *(smg if self.name == "sglang-router" else vllm),
            *("--host", HOST, "--port", str(self._port), "--worker-urls", self._upstream),
            *("--prometheus-host", HOST, "--prometheus-port", str(self._metrics)),
        ]
