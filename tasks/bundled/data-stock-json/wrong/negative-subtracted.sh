sed 's/max(0, int(item.get("qty") or 0))/int(item.get("qty") or 0)/; s/"E-5"/"E-5"/' "$BRIDLE_SOLUTION" > /tmp/wrong-stock.sh
sh /tmp/wrong-stock.sh
