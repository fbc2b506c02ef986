"""``wav2edge stream``: where sound comes from while it is spoken, and how the answers are shown."""
