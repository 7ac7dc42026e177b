#!/bin/sh
# A latency of exactly 0 is ordinary: two tokens of one packet have no time between them.
#
# Seen with opentelemetry-sdk 1.45.1: when the first values of an exponential histogram that are collected are all 0, the
# point says scale 0, and a cumulative histogram never gets finer than its coarsest cycle. Buckets are then a factor of
# 2 wide until the process ends, where the same values without that first cycle have buckets 2 percent wide.
#
# Prints:
#     gaps alone:                  scale 5, a bucket is 2.2 % wide
#     zeros, collected, then gaps: scale 0, a bucket is 100.0 % wide
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check opentelemetry-sdk==1.45.1
timeout 60 "$folder/venv/bin/python" - <<'END'
import sys

from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

GAPS = [0.005 + i / 4000 for i in range(600)]  # seconds, 5 to 155 ms


def scale(*cycles):
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    histogram = MeterProvider([reader], shutdown_on_exit=False).get_meter("finding").create_histogram("gap", unit="s")
    for values in cycles:
        for value in values:
            histogram.record(value)
        collected = reader.get_metrics_data()
    (point,) = collected.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    return point.scale


found = {"gaps alone:                 ": scale(GAPS), "zeros, collected, then gaps:": scale([0.0, 0.0], GAPS)}
for what, value in found.items():
    print(f"{what} scale {value}, a bucket is {(2 ** 2**-value - 1) * 100:.1f} % wide")
sys.exit(list(found.values()) != [5, 0])
END
