# zones are read and thrown away
sed 's/time.astimezone(timezone.utc)/time.replace(tzinfo=timezone.utc)/' "$BRIDLE_SOLUTION" > /tmp/wrong-sessions.sh
sh /tmp/wrong-sessions.sh
