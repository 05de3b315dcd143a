"""What a held-out curve or a training curve says of overfitting, as calibrated probabilities."""
