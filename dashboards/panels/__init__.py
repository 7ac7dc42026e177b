"""Panels that boards share or that are a subject of their own: one function for each panel."""
