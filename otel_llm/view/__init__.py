"""`otel-llm view`: what OTLP brings, kept in a bounded file and shown on a page of this machine."""
