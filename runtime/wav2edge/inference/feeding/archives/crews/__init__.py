"""Crews: workers that answer shards, as processes of this machine or as actors of a Ray cluster."""
