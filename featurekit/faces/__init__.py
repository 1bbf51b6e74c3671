"""Decode images, find the faces on them, and cut the aligned faces out."""
