"""Archives of recordings, shard by shard, on many processes of one machine or of a Ray cluster; results as Parquet."""
