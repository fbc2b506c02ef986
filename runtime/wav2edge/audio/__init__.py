"""Files, arrays and pipes in, checked 16 kHz clips out."""
