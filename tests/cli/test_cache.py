"""featurekit cache: what is remembered is listed, checked, cleaned, merged and exported."""

import os
import shutil

import pandas as pd


def test_the_cache_can_be_listed_checked_cleaned_and_exported(featurekit, extracted, tmp_path):
    assert "mean_color:mean" in featurekit("cache", "ls")[1]
    assert featurekit("cache", "verify")[0] == 0
    assert featurekit("cache", "gc")[0] == 0
    assert featurekit("cache", "export", "mean_color", tmp_path / "v.parquet")[0] == 0
    assert len(pd.read_parquet(tmp_path / "v.parquet")) == 24
    shard = next((tmp_path / "work" / "cache" / "embeddings").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    code, _, errors = featurekit("cache", "verify")
    assert code == 1
    assert shard.name in errors


def test_of_each_exported_file_it_is_said_what_it_holds(featurekit, extracted, tmp_path):
    npy, csv = tmp_path / "v.npy", tmp_path / "v.csv"
    assert featurekit("cache", "export", "mean_color", npy)[1].splitlines() == [
        f"Wrote {npy}: 24 faces, vectors of 3 numbers",
        f"Wrote {csv}: 24 faces, their ids in the order of the vectors",
    ]
    how = ("cache", "export", "mean_color", tmp_path / "shown", "--for", "fiftyone")
    assert featurekit(*how)[1].splitlines()[:2] == [
        f"Wrote {tmp_path / 'shown' / 'labels.csv'}: 24 faces, their images and labels",
        f"Wrote {tmp_path / 'shown' / 'vectors.npy'}: 24 faces, vectors of 3 numbers",
    ]


def test_one_removed_file_is_one_file(featurekit, extracted, tmp_path):
    shard = next((tmp_path / "work" / "cache" / "embeddings").glob("*/*.safetensors"))
    left = shard.with_name(f".{shard.name}.999999999.tmp")
    left.write_bytes(b"left by a killed command")
    os.utime(left, (0, 0))
    assert featurekit("cache", "gc")[1].startswith("Removed 1 file, ")


def test_merging_prints_what_was_added(featurekit, extracted, tmp_path):
    shutil.copytree(tmp_path / "work", tmp_path / "other")
    shutil.rmtree(tmp_path / "work" / "cache")
    for n, files in (("24", "1"), ("0", "0")):
        code, output, errors = featurekit("cache", "merge", tmp_path / "other")
        assert (code, errors) == (0, "")
        head, embeddings, faces, last = (line.split("\t") for line in output.splitlines())
        assert head == ["kind", "what", "key", "rows added", "files", "size"]
        assert [*embeddings[:2], *embeddings[3:5]] == ["embeddings", "mean_color:mean", n, files]
        assert [*faces[:2], *faces[3:]] == ["faces", "whole_image", n, files, "0.0 MB"]
        assert last == [f"Added {'1 extraction' if n == '24' else '0 extractions'} to the record."]
