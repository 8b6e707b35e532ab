"""What monitoring knows and others need: its runs, changes of the world, and outcomes that are held back."""
