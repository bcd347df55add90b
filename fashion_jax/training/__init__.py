"""One pure jitted step, the loop around it, and checkpoints that resume bit for bit."""
