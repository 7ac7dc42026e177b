"""What things are called in Prometheus: series and labels, measures, bucket families, the Collector's own metrics."""
