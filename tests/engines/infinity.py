"""infinity on a CPU with two small random models, each under two names: one counts characters, the other tokens."""

import os
from pathlib import Path
from typing import Final

from tests.engines import random_bert
from tests.engines.serving import EngineServer, made_once
from tools.engines import INFINITY as ENVIRONMENT
from tools.ports import HOST

COUNTS: Final = {"characters": "--no-lengths-via-tokenize", "tokens": "--lengths-via-tokenize"}
"""What a name's second half says is counted, and the option that makes it so."""


class Infinity(EngineServer):
    """A model is asked for as `embedder.characters`, `ranker.tokens` and so on."""

    name = "infinity"
    KINDS: Final = {"embeddings": "embedder", "rerank": "ranker"}

    def command(self) -> list[str]:
        return [
            *(*ENVIRONMENT.script("infinity_emb"), "v2", "--host", HOST, "--port", str(self.port)),
            *("--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--no-model-warmup"),
            *(
                each
                for kind in self.KINDS.values()
                for counted, option in COUNTS.items()
                for each in (f"--model-id={weights() / kind}", f"--served-model-name={kind}.{counted}", option)
            ),
        ]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DO_NOT_TRACK": "1",
            "INFINITY_ANONYMOUS_USAGE_STATS": "0",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }


def weights() -> Path:
    """The models."""
    return made_once("random-bert", random_bert.__file__, ENVIRONMENT)
