"""Comparing runs: what differs, how sure that is, and what could not have been seen."""
