sed 's/if line in seen or/if/' "$BRIDLE_SOLUTION" > /tmp/wrong-sessions.sh
sh /tmp/wrong-sessions.sh
