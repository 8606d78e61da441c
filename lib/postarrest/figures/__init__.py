"""Figures of the report, one module a topic; each function returns a matplotlib figure and saves nothing."""
