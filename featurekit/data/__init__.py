"""Data sets: the table of the faces, the targets, and folds that never share a subject."""
