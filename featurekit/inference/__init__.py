"""Fitted models: reading new photographs with them, and looking at what they depend on."""
