"""Writing a bundle: certification, golden file, card, and the atomic swap."""
