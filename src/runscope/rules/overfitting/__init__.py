"""Overfitting: held-out loss that turns up, training loss that falls in stairs, nothing held out."""
