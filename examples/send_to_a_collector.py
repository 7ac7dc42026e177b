"""The same numbers as spans and histograms, to whatever listens at OTEL_EXPORTER_OTLP_ENDPOINT."""

import otel_llm


@otel_llm.metrics(model="talker", provider="custom")
def talk(task: str):
    yield from task.split()


with otel_llm.configure(service_name="example"):
    for _ in range(10):
        list(talk("one two three"))
print(otel_llm.last_metrics())
