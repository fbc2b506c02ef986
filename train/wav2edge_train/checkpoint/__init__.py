"""Checkpoints of the wav2vec2 family: loading them, and running them as the original."""
