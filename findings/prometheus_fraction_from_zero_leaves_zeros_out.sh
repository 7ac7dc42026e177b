#!/bin/sh
# How many requests waited for less than a second? Of 100, 90 did not wait at all, and ten between one and two seconds.
#
# Seen with Prometheus 3.15.0 (module v0.315.0): where the first bucket edge is 0, as SGLang 0.5 has it for the time in
# its queue, `histogram_fraction(0, 1, …)` of the buckets leaves out everything in that bucket, and so every request
# that did not wait: 0 of 100. From `-Inf` on it is 90. Of an exponential histogram, whose bucket of zeros holds the same
# 90, they are counted from 0 on too. So the same values give 0.00 or 0.90 by the kind of histogram, with no word of it.
#
# Prints:
#     exponential, from 0 to 1 s: 0.90
#     buckets, from 0 to 1 s: 0.00
#     buckets, from -Inf to 1 s: 0.90
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/go.mod" <<'GO'
module finding

go 1.26

require github.com/prometheus/prometheus v0.315.0
GO
cat > "$folder/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Of 100 requests 90 did not wait at all, and ten waited between one and two seconds.
var buckets = map[string]float64{"0": 90, "1": 90, "2": 100, "+Inf": 100}

func main() {
	now := time.Unix(1_000, 0)
	folder, err := os.MkdirTemp("", "finding")
	must(err)
	defer os.RemoveAll(folder)
	db, err := tsdb.Open(folder, nil, nil, tsdb.DefaultOptions(), nil)
	must(err)
	defer db.Close()
	into := db.Appender(context.Background())
	for edge, count := range buckets {
		_, err = into.Append(0, labels.FromStrings("__name__", "wait_bucket", "le", edge), now.UnixMilli(), count)
		must(err)
	}
	// the same in an exponential histogram: its zero bucket has the 90
	exponential := &histogram.Histogram{
		Count: 100, Sum: 15, Schema: 0, ZeroThreshold: 1e-9, ZeroCount: 90,
		PositiveSpans: []histogram.Span{{Offset: 1, Length: 1}}, PositiveBuckets: []int64{10},
	}
	_, err = into.AppendHistogram(0, labels.FromStrings("__name__", "wait"), now.UnixMilli(), exponential, nil)
	must(err)
	must(into.Commit())
	options := promql.EngineOpts{MaxSamples: 1000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})}
	engine := promql.NewEngine(options)
	ask := func(query string) float64 {
		asked, err := engine.NewInstantQuery(context.Background(), db, nil, query, now)
		must(err)
		found := asked.Exec(context.Background())
		must(found.Err)
		vector, err := found.Vector()
		must(err)
		return vector[0].F
	}
	zeros := ask("histogram_fraction(0, 1, wait)")
	fromZero, fromBelow := ask("histogram_fraction(0, 1, wait_bucket)"), ask("histogram_fraction(-Inf, 1, wait_bucket)")
	fmt.Printf("exponential, from 0 to 1 s: %.2f\n", zeros)
	fmt.Printf("buckets, from 0 to 1 s: %.2f\n", fromZero)
	fmt.Printf("buckets, from -Inf to 1 s: %.2f\n", fromBelow)
	if zeros != 0.9 || fromZero != 0 || fromBelow != 0.9 {
		os.Exit(1)
	}
}
GO
cd "$folder"
timeout 540 env GOFLAGS=-mod=mod go build -o found .
timeout 30 ./found
