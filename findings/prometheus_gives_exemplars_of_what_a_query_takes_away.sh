#!/bin/sh
# Which dots belong over a heatmap of the gaps between tokens, where the query is `gaps unless chunks`?
#
# Seen with Prometheus 3.15.0 (module v0.315.0). The engine answers a query with the series that are left.
# `/api/v1/query_exemplars` takes the selectors out of the query (`parser.ExtractSelectors`), gives them to the store of
# exemplars, and does not look at what the query does with them. So it gives the exemplars of every series that a query
# names: of the right side of `unless`, which only takes away, and of the side of `or` from which nothing is in the
# result. A panel that falls back from one metric to another shows the traces of both, at values that are in none of its
# buckets. These are the two calls of that handler, on a database of two series with an exemplar each.
#
# Prints:
#     gaps unless on (model) absent: query gaps; exemplars of gaps
#     chunks unless on (model) gaps: query nothing; exemplars of chunks, gaps
#     gaps or on (model) chunks: query gaps; exemplars of chunks, gaps
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
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
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

func listed(names []string) string {
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func main() {
	now := time.Unix(1_000, 0)
	folder, err := os.MkdirTemp("", "finding")
	must(err)
	defer os.RemoveAll(folder)
	options := tsdb.DefaultOptions()
	options.EnableExemplarStorage, options.MaxExemplars = true, 100
	db, err := tsdb.Open(folder, nil, nil, options, nil)
	must(err)
	defer db.Close()
	into := db.Appender(context.Background())
	for name, value := range map[string]float64{"gaps": 0.01, "chunks": 0.05} {
		series := labels.FromStrings("__name__", name, "model", "m")
		ref, err := into.Append(0, series, now.UnixMilli(), 1)
		must(err)
		trace := labels.FromStrings("trace_id", "00000000000000000000000000000001")
		_, err = into.AppendExemplar(ref, series, exemplar.Exemplar{Labels: trace, Value: value, Ts: now.UnixMilli(), HasTs: true})
		must(err)
	}
	must(into.Commit())
	read := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1000, Timeout: time.Minute, Parser: read})
	found := ""
	for _, query := range []string{"gaps unless on (model) absent", "chunks unless on (model) gaps", "gaps or on (model) chunks"} {
		asked, err := engine.NewInstantQuery(context.Background(), db, nil, query, now)
		must(err)
		result := asked.Exec(context.Background())
		must(result.Err)
		vector, err := result.Vector()
		must(err)
		var left, dots []string
		for _, sample := range vector {
			left = append(left, sample.Metric.Get("__name__"))
		}
		expression, err := read.ParseExpr(query)
		must(err)
		store, err := db.ExemplarQuerier(context.Background())
		must(err)
		series, err := store.Select(0, now.UnixMilli()+1, parser.ExtractSelectors(expression)...)
		must(err)
		for _, each := range series {
			dots = append(dots, each.SeriesLabels.Get("__name__"))
		}
		found += fmt.Sprintf("%s: query %s; exemplars of %s\n", query, listed(left), listed(dots))
	}
	fmt.Print(found)
	if found != `gaps unless on (model) absent: query gaps; exemplars of gaps
chunks unless on (model) gaps: query nothing; exemplars of chunks, gaps
gaps or on (model) chunks: query gaps; exemplars of chunks, gaps
` {
		os.Exit(1)
	}
}
GO
cd "$folder"
timeout 540 env GOFLAGS=-mod=mod go build -o found .
timeout 30 ./found
