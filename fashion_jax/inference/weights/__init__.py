"""Published weights: reading untrusted files, naming, filling networks, checksums."""
