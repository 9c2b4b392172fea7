"""The model: clients, profiles, prices, the embedded default."""
