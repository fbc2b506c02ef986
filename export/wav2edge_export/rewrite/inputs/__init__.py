"""What a graph does with its samples before the model: normalisation, log-mel features, padding."""
