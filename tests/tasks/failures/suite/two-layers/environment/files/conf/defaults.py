DEFAULTS = {"host": "localhost", "port": 8000, "debug": "no"}
