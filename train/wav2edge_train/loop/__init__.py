"""The training loop: trainer, arguments, callbacks, saved checkpoints, forecast."""
