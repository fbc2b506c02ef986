"""From a graph to logits: engine, batches, parallel map, recordings. ONNX Runtime is in ``sessions``."""
