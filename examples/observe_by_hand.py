"""Where a decorator does not fit: open an observation, mark what arrives, leave the block."""

import otel_llm

with otel_llm.observe(operation="chat", model="by-hand") as call:
    for _ in ("a", "b", "c"):
        call.mark(tokens=1, kind="text")
print(otel_llm.last_metrics())
