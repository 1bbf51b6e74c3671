"""Compare ways of reading age group and gender from face photographs."""

import os

__version__ = "0.1.0"

# Read while onnxruntime is imported, by whichever module comes first; without it onnxruntime 1.29 and newer
# tells its makers which networks are run, and keeps a database for that below the user's home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
