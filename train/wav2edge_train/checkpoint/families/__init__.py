"""The encoders of the wav2vec2 family: what each has for parts, and how it hears a waveform."""
