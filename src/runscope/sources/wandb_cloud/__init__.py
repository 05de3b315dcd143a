"""W&B runs in the cloud or on a host of one's own."""
