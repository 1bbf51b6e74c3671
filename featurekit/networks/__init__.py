"""Pretrained networks: which there are, what runs them, and where their weights come from."""
