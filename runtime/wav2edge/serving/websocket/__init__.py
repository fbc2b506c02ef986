"""Streams over a WebSocket: sound in, events out."""
