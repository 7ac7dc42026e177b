"""What a run was, as people look at it: one model, and the views that are made of it."""
