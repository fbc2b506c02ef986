"""The form of a graph for GPUs: fused operators, and every index made where the data is, so that it can be captured."""
