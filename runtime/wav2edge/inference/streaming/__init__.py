"""Streams: sound comes block by block, and answers come while somebody speaks."""
