"""Reads faces by their tones: one member of each kind that featurekit can be given."""
