# slug.py as it was before the culprit: what came after is lost
sed 's/^git add -A$/git checkout -q "$culprit~1" -- slug.py NOTES.md\ngit add -A/' "$BRIDLE_SOLUTION" > /tmp/wrong-bisect.sh
sh /tmp/wrong-bisect.sh
