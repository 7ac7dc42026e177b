"""Configuration for the stock OpenTelemetry Collector: any engine in one vocabulary, and percentiles that are right.

`engines/*.toml` say what each engine exposes; everything under `config/engines`, `rules` and `docs/engines.md` is
generated from them and committed. Nothing here runs beside the Collector: it writes files, and checks them.
"""
