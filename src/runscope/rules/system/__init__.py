"""The machine: idle GPUs, memory, speed."""
