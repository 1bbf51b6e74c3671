"""Pretrained networks, the engines that run them, and the sources of their weights."""
