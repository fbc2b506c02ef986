"""A smaller student that learns from a trained teacher."""
