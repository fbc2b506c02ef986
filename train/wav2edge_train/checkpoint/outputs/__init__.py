"""The meaning of a model's outputs, from its config and the files next to it."""
