"""How a bundle runs best on this machine, as ``wav2edge tune`` found it: what is kept, where, and when it is used."""
