"""Protocol plugins: one protocol a file, no sockets and no clock. See `otel_llm.wire.protocol` for the contract."""
