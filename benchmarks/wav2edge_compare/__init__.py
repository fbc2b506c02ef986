"""Other systems that run the same checkpoint, compared with a bundle: built, measured in turns, reported.

This package imports nothing: each measured process passes through here, and must load its own system only.
"""
