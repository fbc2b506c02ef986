"""What a user reads: results, tables, JSON, progress."""
