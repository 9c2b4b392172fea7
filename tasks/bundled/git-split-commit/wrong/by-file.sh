# app.py goes into the first commit, calc.py into the second: neither works alone
sh "$BRIDLE_SOLUTION" || true
sed "s/sed -i 's.*total.*/git checkout -q \"\$mixed\" -- app.py/" "$BRIDLE_SOLUTION" > /tmp/wrong-split.sh
sh /tmp/wrong-split.sh
