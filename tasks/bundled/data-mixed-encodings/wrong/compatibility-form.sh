sed 's/"NFC"/"NFKC"/' "$BRIDLE_SOLUTION" > /tmp/wrong-people.sh
sh /tmp/wrong-people.sh
