"""Speech and labels on disk to padded batches."""
