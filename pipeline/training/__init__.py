"""How deep models learn: the loop, its options, checkpoints that resume exactly."""
