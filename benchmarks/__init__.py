"""Speed beside peers: each figure a ratio in one run (`run` measures, `report` tells)."""
