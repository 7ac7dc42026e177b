"""The PromQL of the panels, and the labels and series it names."""
