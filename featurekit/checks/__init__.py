"""Checks for errors in a data set and its folds."""
