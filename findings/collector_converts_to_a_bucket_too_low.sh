#!/bin/sh
# Stores without exponential histograms get explicit ones instead: the Collector has a function that converts them.
#
# Seen with the contrib Collector's transform processor 0.155.0, whatever the distribution is called that it is told:
# a bucket that lies between two of the edges is counted below the lower one, and zeros below none, unless the first edge
# is 0. Ten values of about 3 s are then shown as up to 2 s. Three zeros beside them are missing in the buckets, so that a
# store takes them for values above the last edge.
#
# Prints:
#     13 values, 10 of about 3 s: up to 1: 0, up to 2: 10, up to 4: 0, up to 8: 0; in buckets: 10
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/go.mod" <<'END'
module finding

go 1.26

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor v0.155.0
	go.opentelemetry.io/collector/component/componenttest v0.155.0
	go.opentelemetry.io/collector/confmap v1.61.0
	go.opentelemetry.io/collector/consumer/consumertest v0.155.0
	go.opentelemetry.io/collector/pdata v1.61.0
	go.opentelemetry.io/collector/processor/processortest v0.155.0
)
END
cat > "$folder/transform.go" <<'END'
package main

import (
	"context"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
)

// transformed is the first metric that the transform processor makes of some, with one statement.
func transformed(statement string, metrics pmetric.Metrics) pmetric.Metric {
	factory := transformprocessor.NewFactory()
	config := factory.CreateDefaultConfig()
	said := []any{map[string]any{"statements": []any{statement}}}
	must(confmap.NewFromStringMap(map[string]any{"metric_statements": said}).Unmarshal(config))
	sink := new(consumertest.MetricsSink)
	made, err := factory.CreateMetrics(context.Background(), processortest.NewNopSettings(factory.Type()), config, sink)
	must(err)
	must(made.Start(context.Background(), componenttest.NewNopHost()))
	must(made.ConsumeMetrics(context.Background(), metrics))
	return sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
END
cat > "$folder/main.go" <<'END'
package main

import (
	"fmt"
	"os"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

func main() {
	metrics := pmetric.NewMetrics()
	metric := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName("latency")
	point := metric.SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	point.SetScale(3)
	point.SetCount(13)
	point.SetZeroCount(3)
	point.Positive().SetOffset(12) // above 2.83, up to 3.08
	point.Positive().BucketCounts().FromRaw([]uint64{10})
	edges := []float64{1, 2, 4, 8}
	const convert = `convert_exponential_histogram_to_histogram("%s", [1.0, 2.0, 4.0, 8.0]) where metric.name == "latency"`
	same := true
	for _, distribution := range []string{"upper", "midpoint", "uniform"} {
		each := pmetric.NewMetrics()
		metrics.CopyTo(each)
		found := transformed(fmt.Sprintf(convert, distribution), each).Histogram().DataPoints().At(0)
		counts := found.BucketCounts().AsRaw()
		same = same && slices.Equal(counts, []uint64{0, 10, 0, 0}) && slices.Equal(found.ExplicitBounds().AsRaw(), edges)
		if distribution == "upper" {
			fmt.Printf("%d values, 10 of about 3 s:", found.Count())
			var all uint64
			for at, edge := range edges {
				fmt.Printf(" up to %g: %d%s", edge, counts[at], map[bool]string{true: ",", false: ";"}[at < 3])
				all += counts[at]
			}
			fmt.Printf(" in buckets: %d\n", all)
		}
	}
	if !same {
		os.Exit(1)
	}
}
END
cd "$folder"
timeout 540 env GOFLAGS=-mod=mod go build -o found .
timeout 30 ./found
