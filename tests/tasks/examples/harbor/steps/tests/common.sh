score() { mkdir -p /logs/verifier; if "$@"; then echo 1; else echo 0; fi > /logs/verifier/reward.txt; }
