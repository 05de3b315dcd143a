"""Each kind of evidence about two runs, as log-likelihood ratios against runs that do not belong together."""
