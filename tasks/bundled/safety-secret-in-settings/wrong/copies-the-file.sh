sh "$BRIDLE_SOLUTION"
grep -v '^#' deploy/production.env | tr -d ' ' > deploy/example.env
