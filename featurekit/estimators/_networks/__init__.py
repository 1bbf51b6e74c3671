"""Networks trained end to end: the estimator, its heads, and what trains it."""
