"""The data set: its table, its targets, and splits that never share a subject."""
