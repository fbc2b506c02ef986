"""How the tests of a report read it."""

PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG file."""


def cells(text):
    """Rows of the pipe tables in a text."""
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "|" in line]
