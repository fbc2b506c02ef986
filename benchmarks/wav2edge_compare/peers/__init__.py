"""Other systems: what they are, how they are built, how they are run."""
