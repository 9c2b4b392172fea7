sed 's/while not text.isascii/if not text.isascii/; s/            break/            pass/; s/        how = "twice"/        how = "twice" if text != raw.decode("utf-8", "replace") else how/' "$BRIDLE_SOLUTION" > /tmp/wrong-people.sh
sh /tmp/wrong-people.sh
