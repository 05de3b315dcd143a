"""Tasks, scorers, backends: checkpoints become per-example results and a study."""
