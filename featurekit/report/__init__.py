"""The comparison report: one HTML file that works offline, and a Markdown file with the same content.

Both files are made only from the stored runs, the evidence (confidence intervals and tests)
and the audit, so a report can be written again at any time, and the same runs give exactly
the same files.
"""
