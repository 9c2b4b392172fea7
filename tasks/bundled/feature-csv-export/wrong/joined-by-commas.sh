sh "$BRIDLE_SOLUTION"
cat > report/export.py <<'Y'
def to_csv(records):
    lines = [",".join(records[0])] if records else []
    lines += [",".join(str(value) for value in each.values()) for each in records]
    return "".join(f"{line}\n" for line in lines)
Y
