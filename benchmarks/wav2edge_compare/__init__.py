"""Every system that can answer with the same checkpoint, side by side: built, alternated, measured, reported.

Kept free of imports: each measured process passes through here, and must load its own system and nothing else.
"""
