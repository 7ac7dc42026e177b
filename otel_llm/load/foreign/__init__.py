"""Results of other load generators, as reports of ours: what each figure means, and what of it cannot be compared."""
