"""Well-known shapes with seeded random weights."""
