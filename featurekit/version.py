"""The version of featurekit; runs, models and reports say which one made them."""

__version__ = "0.1.0"
