"""The models that are served, and the threads that recognise."""
