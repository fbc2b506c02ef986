"""The joint model, what it starts from, and how it is made smaller."""
