"""The whole pipeline on a corpus spoken on the spot: ``wav2edge demo``."""
