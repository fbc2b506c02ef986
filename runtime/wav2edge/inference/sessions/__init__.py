"""ONNX Runtime: devices, graph files, and a graph open on a device."""
