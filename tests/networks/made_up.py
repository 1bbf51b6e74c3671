"""A made-up weight file and its entry in the table."""

import hashlib

from featurekit.networks.weights import Licences, WeightsEntry

TINY = b"a tiny network" * 1000

LICENCES = Licences("MIT", "CC0-1.0", "made up")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_entry(name, data, **facts):
    facts = {"file_name": f"{name}.onnx", "sha256": sha256(data), "size": len(data), **facts}
    return WeightsEntry(name=name, about="made up", licences=LICENCES, **facts)
