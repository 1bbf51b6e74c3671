"""The version of featurekit, which is stored in every result, model and report that it makes."""

__version__ = "0.1.0"
