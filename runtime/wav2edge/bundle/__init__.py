"""A bundle on disk: manifest, heads, geometry, digests."""
