"""The cache: faces and vectors that were computed, stored on the disk."""
