"""Feeding a stream from elsewhere: from a thread that records, and from coroutines."""
