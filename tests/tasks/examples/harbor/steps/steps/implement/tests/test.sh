#!/bin/bash
good=0; [ "$(/app/greet.sh "$NAME")" = "hello $NAME$SUFFIX" ] && good=1
style=0; grep -q suffix.txt /app/greet.sh && [ ! -e /app/setup.sh ] && style=1
echo "{\"reward\": $good, \"style\": $style}" > /logs/verifier/reward.json
