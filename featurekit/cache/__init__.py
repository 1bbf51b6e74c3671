"""What has been computed, kept on the disk."""
