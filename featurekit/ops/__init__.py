"""Looking after a project: the machine, forgetting somebody, computing again, other programs."""
