"""featurekit cache: what is remembered is listed, checked, cleaned and exported."""

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
