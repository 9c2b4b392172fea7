sh "$BRIDLE_SOLUTION"
sed -i 's/^        number = int(member\["id"\])/        if not _date(member.get("joined")):\n            continue\n        number = int(member["id"])/' migrate.py
