sed 's/<= timedelta/< timedelta/' "$BRIDLE_SOLUTION" > /tmp/wrong-sessions.sh
sh /tmp/wrong-sessions.sh
