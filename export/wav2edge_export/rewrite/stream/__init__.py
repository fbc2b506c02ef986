"""The graph of a stream: one chunk in, its outputs and the memory for the next chunk out."""
