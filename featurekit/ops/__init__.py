"""Maintenance of a project: check the machine, remove subjects, compute vectors again, log to MLflow."""
