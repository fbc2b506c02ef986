"""Requests over HTTP: who may ask, what is uploaded, and how it is answered."""
