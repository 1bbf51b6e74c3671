"""Compare ways of reading age group and gender from face photographs."""

__version__ = "0.1.0"
