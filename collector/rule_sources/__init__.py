"""Recording rules and alerts as Python objects; `catalog` says which file of `rules/` each belongs in."""
