"""One session: the loop, the model, the gate, the journal, the repository in and out."""
