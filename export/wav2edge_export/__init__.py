"""From a PyTorch checkpoint to a proved ONNX bundle."""
