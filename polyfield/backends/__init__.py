"""Which kernel runs an op, on which device, and what the kernels share."""
