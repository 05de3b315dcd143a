"""What was fetched or computed, kept on disk: parsed runs, cached pages, evaluation results."""
