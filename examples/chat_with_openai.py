"""Every call of the `openai` library, without a change to it: `python chat_with_openai.py [BASE_URL MODEL]`.

Without arguments it asks a simulated model that it starts by itself, so that it runs anywhere. Each call is a line on
stderr when it has ended; `otel_llm.configure("http://localhost:4317")` would send it to a Collector.
"""

import sys
from contextlib import nullcontext

import openai

import otel_llm
from otel_llm.sim import Behaviour, SimServer

otel_llm.configure(show=True)
otel_llm.instrument(include=["openai"])

with SimServer(Behaviour(ttft_ms=200, itl_ms=20)) if len(sys.argv) < 3 else nullcontext() as sim:
    base_url, model = (sim.url + "/v1", "simulated") if sim is not None else sys.argv[1:3]
    client = openai.OpenAI(base_url=base_url, api_key="none" if sim is not None else None)
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Why is the sky blue?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
    print()
print(otel_llm.last_metrics())
