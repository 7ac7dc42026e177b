"""A run of `otel-llm` in a process of its own, whatever there is in this one."""
