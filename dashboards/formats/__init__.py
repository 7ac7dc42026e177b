"""The forms in which boards are written: JSON files, a mixin, and resources for the Grafana operator."""
