"""The model card, its charts, and the comparison of sizes."""
