#!/bin/sh
# A label that a store should not have is dropped, and the Collector adds up the series that differ in it.
#
# Seen with the contrib Collector's transform processor 0.155.0: `aggregate_on_attributes("sum")` adds exponential
# histograms up only if they have the same scale, which the values of each series decide. Others stay two points with
# the same labels and the same time, of which a store keeps one. Of 2,000 values 1,000 are gone, with no word about it.
#
# Prints:
#     same scale: 1 point, 2000 values
#     two scales: 2 points of one series, 1000 and 1000 values
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

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// added is what becomes of two users' histograms without the users.
func added(scales ...int32) pmetric.ExponentialHistogramDataPointSlice {
	metrics := pmetric.NewMetrics()
	metric := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName("latency")
	histogram := metric.SetEmptyExponentialHistogram()
	histogram.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for user, scale := range scales {
		point := histogram.DataPoints().AppendEmpty()
		point.Attributes().PutStr("user", fmt.Sprint(user))
		point.SetScale(scale)
		point.SetCount(1000)
		point.Positive().BucketCounts().FromRaw([]uint64{1000})
	}
	const aggregate = `aggregate_on_attributes("sum", []) where metric.name == "latency"`
	return transformed(aggregate, metrics).ExponentialHistogram().DataPoints()
}

func main() {
	one, two := added(3, 3), added(3, 5)
	fmt.Printf("same scale: %d point, %d values\n", one.Len(), one.At(0).Count())
	if one.Len() != 1 || one.At(0).Count() != 2000 || two.Len() != 2 || two.At(0).Attributes().Len() != 0 {
		os.Exit(1)
	}
	fmt.Printf("two scales: 2 points of one series, %d and %d values\n", two.At(0).Count(), two.At(1).Count())
}
END
cd "$folder"
timeout 540 env GOFLAGS=-mod=mod go build -o found .
timeout 30 ./found
