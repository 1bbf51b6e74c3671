"""Fitted models, their predictions for new images, and explanations of the predictions."""
