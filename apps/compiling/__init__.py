"""CPU kernels compiled before they are wanted."""
