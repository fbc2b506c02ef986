"""From speech and labels to a wav2vec2 checkpoint with a CTC head, a classification head, or both."""
