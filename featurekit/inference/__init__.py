"""Fitted models: their predictions for new images, and what these depend on."""
