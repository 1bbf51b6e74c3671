"""Read a data set's own layout into rows of a manifest.

A data set is one file here: a function that finds every row the data set names,
says what it knows of it, and leaves the judgement (missing files, impossible
ages, duplicates) to clean(), which is the same for all.
"""
