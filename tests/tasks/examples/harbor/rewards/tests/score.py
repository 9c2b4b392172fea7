import json
import os

lines = open("/data/words.txt").read().split()
scores = {
    "sorted": float(lines == sorted(lines)),
    "unique": float(len(lines) == len(set(lines))),
    "short": float(len(lines) <= int(os.environ["LIMIT"])),
}
with open("/logs/verifier/reward.json", "w") as file:
    json.dump(scores, file)
