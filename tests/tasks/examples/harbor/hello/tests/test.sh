#!/bin/bash
# Looks at absolute paths, at the working folder, and at a place beside it.
mkdir -p /logs/verifier
if [ "$(cat greeting.txt)" = "hello, Ada" ] && [ "$(cat /app/greeting.txt)" = "hello, Ada" ] &&
    [ "$(cat /notes/log.txt)" = "hello, Ada" ] && [ -d /app/empty/kept ]; then
    echo 1 > /logs/verifier/reward.txt
else
    echo 0 > /logs/verifier/reward.txt
fi
