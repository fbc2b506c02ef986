"""wav2edge."""
