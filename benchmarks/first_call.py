"""What the first call of a process says beside the nine after it: nine ways in, without an SDK and with one.

    python -m benchmarks.first_call        # a table in Markdown; ways whose library is not installed are left out

Each way is a process of its own, three times, of which the best counts: what other processes do only ever adds.
"""

import importlib.util
import json
import subprocess
import sys
from statistics import median

ROUNDS = 3
SDK = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
"""
OURS = "import json\nimport otel_llm\n"
SLOW = "import time\ndef slow():\n    for _ in range(3):\n        time.sleep(0.02)\n        yield 'a'\n"
SIM = """
from otel_llm.sim import Behaviour
from otel_llm.sim.process import SimProcess
sim = SimProcess(Behaviour(ttft_ms=20, itl_ms=20, tokens=3)).__enter__()
MESSAGES = [{"role": "user", "content": "hi"}]
"""
TINY = """
import torch, transformers
size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=200, eos_token_id=None, **size)).eval()
prompt = torch.tensor([[1, 2, 3]])
model.generate(prompt, max_new_tokens=3)  # its own first time
"""
WAYS = {
    "`@metrics`": (
        "",
        SLOW
        + """
stream = otel_llm.metrics(model="m")(slow)
def call():
    list(stream())
""",
    ),
    "`@metrics`, async": (
        "",
        """
import asyncio
@otel_llm.metrics(model="m")
async def stream():
    for _ in range(3):
        await asyncio.sleep(0.02)
        yield "a"
async def read():
    async for _ in stream():
        pass
    return otel_llm.last_metrics()
def call():
    return asyncio.run(read())
""",
    ),
    "`observe`": (
        "",
        SLOW
        + """
def call():
    with otel_llm.observe(model="m") as seen:
        for _ in slow():
            seen.mark()
""",
    ),
    "`instrument(Class, ...)`": (
        "",
        SLOW
        + """
class Theirs:
    def run(self):
        yield from slow()
otel_llm.instrument(Theirs, "run")
def call():
    list(Theirs().run())
""",
    ),
    "`BaseLLM`": (
        "",
        SLOW
        + """
class Mine(otel_llm.BaseLLM):
    def stream(self, task=None):
        yield from slow()
mine = Mine("m")
def call():
    list(mine.stream("x"))
""",
    ),
    "a call inside a call": (
        "",
        SLOW
        + """
inner = otel_llm.metrics(model="inner")(slow)
@otel_llm.metrics(model="outer")
def outer():
    yield from inner()
def call():
    list(outer())
""",
    ),
    "`instrument()`, openai": (
        "openai",
        SIM
        + """
import openai
client = openai.OpenAI(base_url=sim.url + "/v1", api_key="none")
def call():
    list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
call()  # the library's own first time
otel_llm.instrument(include=["openai"])
""",
    ),
    "`instrument()`, transformers": (
        "transformers",
        TINY
        + """
otel_llm.instrument(include=["transformers"])
def call():
    model.generate(prompt, max_new_tokens=3)
""",
    ),
    "`HuggingFaceLLM`": (
        "transformers",
        TINY
        + """
from otel_llm.models import HuggingFaceLLM
class Words:
    pad_token_id, chat_template = 0, None
    def __call__(self, *_, **__):
        return transformers.BatchEncoding({"input_ids": prompt, "attention_mask": torch.ones_like(prompt)})
    def batch_decode(self, ids, **_):
        return ["a" for _ in ids]
llm = HuggingFaceLLM("m", model=model, tokenizer=Words())
def call():
    llm.run("x", max_new_tokens=3)
""",
    ),
}
REPORT = """
found = []
for _ in range(10):
    made = call() or otel_llm.last_metrics()
    found.append(made.time_to_first_token)
print(json.dumps(found))
"""


def differ(program: str) -> float:
    """Return by how many milliseconds the first call's first token is later than the others', in a cold process."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    first, *others = json.loads(done.stdout.splitlines()[-1])
    return float(first - median(others)) * 1e3


def main() -> int:
    print(
        "| first token of the first call, less the median of the nine after it, ms | without an SDK | with one |\n"
        "| --- | --- | --- |"
    )
    for name, (library, program) in WAYS.items():
        if library and importlib.util.find_spec(library) is None:
            continue
        cells = [
            min((differ(before + OURS + program + REPORT) for _ in range(ROUNDS)), key=abs) for before in ("", SDK)
        ]
        print(f"| {name} | {cells[0]:+.2f} | {cells[1]:+.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
