#!/bin/bash
set -e
test -d empty/kept
echo "$GREETING, $(cat /app/name.txt)" > /app/greeting.txt
mkdir -p /notes
cp greeting.txt /notes/log.txt
