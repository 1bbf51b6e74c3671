"""Figures of results, one file for each kind: the figure, its numbers as a table, and how to read it.

A display object is made from the same data as the report (the ranked runs of a target and their
evidence), and the figures and tables of the report take their numbers from it. So a
number in a notebook and the same number in the report are computed once.
"""
