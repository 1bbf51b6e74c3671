"""What may be wrong with the data and the split."""
