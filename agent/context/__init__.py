"""What the model is shown: prompts and the conversation rebuilt from the journal."""
