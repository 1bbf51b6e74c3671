"""Pictures of results, a file each: what is drawn, its numbers as a table, and how to read it.

A display is made from what the report has already (the ranked runs of a target and their
evidence), and the report's own figures and tables take their numbers from it. So a
number in a notebook and the same number in the report were computed once.
"""
