"""The training loss itself: NaN, divergence, spikes, no learning."""
