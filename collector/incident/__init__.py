"""`otel-llm incident`: what is wrong now, in one screen, asked of Prometheus by the common names."""
