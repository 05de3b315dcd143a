"""What the Hugging Face Trainer keeps: ``trainer_state.json``."""
