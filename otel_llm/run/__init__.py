"""`otel-llm run app.py`: a program as it is, with its model calls measured and shown."""
