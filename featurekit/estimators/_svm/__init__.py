"""Support vector machines: kernels, what solves them, and the two estimators."""
