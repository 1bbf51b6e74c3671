"""Cross-validation of estimators, and what can be said of the scores."""
