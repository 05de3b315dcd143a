"""Offline W&B runs: the ``.wandb`` files that the SDK writes."""
