"""The documentation site: `docs/` and what is generated from the code, staged for Zensical (`make docs`)."""
