"""Calls of a real vLLM in this process, measured: vllm_in_process.py MODEL SITE_PACKAGES. Its spans, as JSON on stdout.

Run by the Python of the engine's environment. What it lacks of ours is found in SITE_PACKAGES, after what it has.
"""

import asyncio
import json
import sys
import time
from typing import Any

TOKENS = 5
PROMPTS = ("one token after another", "a model")
SIZE: dict[str, Any] = {"max_model_len": 256, "max_num_seqs": 2, "enforce_eager": True, "disable_log_stats": False}


def main(model: str, site: str) -> None:
    sys.path.append(site)
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    import otel_llm

    seen, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    trace.set_tracer_provider(provider)
    otel_llm.instrument(include=["vllm"])
    at_once(model)
    first = asyncio.run(streamed(model))
    spans = [
        {"name": span.name, **dict(span.attributes or {})}
        for span in seen.get_finished_spans()
        if not str((span.attributes or {}).get("code.namespace")).startswith("vllm.")  # of its start, by itself
    ]
    print(json.dumps({"spans": spans, "first": first}))


def at_once(model: str) -> None:
    """Make the calls of `LLM`, with their arguments as its documentation gives them."""
    from vllm import LLM, SamplingParams

    params = SamplingParams(max_tokens=TOKENS, ignore_eos=True, temperature=0)
    llm = LLM(model=model, **SIZE)
    llm.generate(list(PROMPTS), params, use_tqdm=False)
    llm.generate(PROMPTS[0], sampling_params=[params], use_tqdm=False)
    llm.chat([{"role": "user", "content": PROMPTS[0]}], params, False)


async def streamed(model: str) -> list[float]:
    """Read a stream of each kind of output; return how long each took to its first output, s, as seen by its reader."""
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=model, **SIZE))
    took = []
    for kind in (RequestOutputKind.DELTA, RequestOutputKind.CUMULATIVE):
        params = SamplingParams(max_tokens=TOKENS, ignore_eos=True, temperature=0, output_kind=kind)
        began, first = time.perf_counter(), None
        async for _ in engine.generate(PROMPTS[0], params, kind.name):
            first = first or time.perf_counter() - began
        took.append(first or 0.0)
    engine.shutdown()
    return took


if __name__ == "__main__":
    main(*sys.argv[1:])
