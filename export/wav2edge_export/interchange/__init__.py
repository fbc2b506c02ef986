"""Other people's files: third-party graphs made bundles, and bundles made what other packages load."""
