"""The comparison that an analyst reads: one HTML file that works offline, and its Markdown twin.

Both are rendered from the same page (featurekit.report.page), and from nothing but
runs, the evidence that their predictions gave, and the audit: a report can be written
again at any time, and the same runs give the same bytes.
"""
