sed 's/house.get("closed") is True/house.get("closed")/' "$BRIDLE_SOLUTION" > /tmp/wrong-stock.sh
sh /tmp/wrong-stock.sh
