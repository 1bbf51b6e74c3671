"""Whom a model confuses, without showing anybody: mean faces and mean occlusion maps of groups of faces."""
