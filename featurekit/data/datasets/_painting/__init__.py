"""The made-up portraits: subjects are drawn, painted on a canvas and rendered as images."""
