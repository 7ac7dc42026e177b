"""LiteLLM's proxy in front of another server, whose model it calls `gateway-model`."""

import json
import os
from pathlib import Path

from tests.engines.serving import EngineServer
from tools.engines import LITELLM
from tools.ports import HOST

KEY = "sk-of-this-test-alone"


class LiteLLMProxy(EngineServer):
    """`upstream` is the address of a server with OpenAI's protocol; `served` is what its model is called there."""

    name = "litellm"
    model = "gateway-model"
    ready_path = "/metrics/"

    def __init__(self, data: Path, upstream: str, served: str) -> None:
        super().__init__(data)
        to = {"model": f"openai/{served}", "api_base": f"{upstream}/v1", "api_key": "none"}
        self._configuration = data / "litellm.json"  # every JSON is YAML
        self._configuration.write_text(
            json.dumps(
                {
                    "model_list": [{"model_name": self.model, "litellm_params": to}],
                    "litellm_settings": {"callbacks": ["prometheus"], "require_auth_for_metrics_endpoint": False},
                    "general_settings": {"master_key": KEY},
                }
            )
        )

    def command(self) -> list[str]:
        where = ["--host", HOST, "--port", str(self.port), "--num_workers", "1"]
        return [*LITELLM.script("litellm"), "--config", str(self._configuration), *where]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(LITELLM.folder / "bin"), os.environ["PATH"]]),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
