"""The folder that `otel-llm run` puts on the path of a program."""
