"""TensorBoard log folders."""
