sh "$BRIDLE_SOLUTION"
echo '# tok-archive-5f1c' >> report.py
