"""What is wrong with an installation, with somebody's ONNX file, or with a bundle on this device, and its remedy."""
