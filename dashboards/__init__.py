"""Grafana dashboards: for any mix of engines, clients and load runs, percentiles that are right and where the tail is.

One module per board, one function per panel; `python -m otel_llm_dashboards.generate` writes `grafana/*.json`, which
is committed. What builds them is needed for that alone: `otel-llm dashboards` copies what is there.
"""
