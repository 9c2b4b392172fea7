sed 's/cp1252/latin-1/g' "$BRIDLE_SOLUTION" > /tmp/wrong-people.sh
sh /tmp/wrong-people.sh
