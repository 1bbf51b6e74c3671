"""From photographs to vectors, each computed once."""
