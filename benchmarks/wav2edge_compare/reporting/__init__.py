"""Results of a comparison as tables, charts and a page."""
