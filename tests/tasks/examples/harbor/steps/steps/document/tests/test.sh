#!/bin/bash
. /tests/common.sh
grep -q greet README.md && grep -q done README.md && [ -x /app/greet.sh ] && [ "$(cat /state/implement)" = done ]
code=$?
echo "{\"reward\": $((1 - code)), \"style\": $((1 - code))}" > /logs/verifier/reward.json
