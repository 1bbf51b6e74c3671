"""The made-up portraits: who is painted, with what, and how a picture is taken."""
