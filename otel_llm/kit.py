"""`otel-llm collector`: the Collector's files, and the Grafana boards that its compose file shows.

The Collector's files do not know of the boards, whose queries are made from its rules; here the two are put together.
"""

import argparse

from otel_llm_collector import cli
from otel_llm_collector.cli import add_arguments
from otel_llm_dashboards.formats.grafana_json import installed_boards

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Write the files, boards included, or print a bucket profile."""
    return cli.run(args, installed_boards())
