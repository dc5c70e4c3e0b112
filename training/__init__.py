"""Training: the one loop, its objectives, what watches it, the folder of a run, distillation."""
