"""A precision for each layer: sensitivities, the search, its frontier."""
