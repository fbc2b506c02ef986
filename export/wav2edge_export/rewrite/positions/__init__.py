"""Rules for attention that knows how far two frames are apart: an additive bias on the scores, or rotated frames."""
