"""Imported by Python when it starts, before the program: see `otel_llm.run.started`."""

from otel_llm.run.started import measure_this_process

measure_this_process()
