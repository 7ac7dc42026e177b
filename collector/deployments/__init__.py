"""Configuration that is generated from the engine tables: Collector fragments and Kubernetes objects."""
