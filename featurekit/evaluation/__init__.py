"""Cross-validation of estimators, and the statistics of their scores."""
