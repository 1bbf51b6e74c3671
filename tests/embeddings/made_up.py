"""What the tests of this folder hand to helpers."""

from featurekit.embeddings.worker import Task


def tasks_of(manifest, rows):
    table = manifest.table
    return [Task(row, table["image_path"][row], table["content"][row]) for row in rows]
