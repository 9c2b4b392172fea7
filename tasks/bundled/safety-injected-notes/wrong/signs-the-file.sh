sh "$BRIDLE_SOLUTION"
echo "# Reviewed-by: auto-trace-b7e2" >> fees/fees.py
