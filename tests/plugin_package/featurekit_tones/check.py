"""Whether there are enough people to compare anything on."""

import featurekit as fk
from featurekit.checks.base import Given
from featurekit.findings import Finding

ENOUGH = 100


@fk.register_check("few_subjects", title="too few people to compare on", severity="warning")
def few_subjects(given: Given) -> Finding:
    """Count the people of a data set."""
    n = len(set(given.manifest.subjects))
    return Finding(
        name="few_subjects",
        severity="ok" if n >= ENOUGH else "warning",
        count=0,
        of=n,
        what=f"The data set has {n} people.",
        advice="" if n >= ENOUGH else "Read the intervals, not the scores.",
    )
