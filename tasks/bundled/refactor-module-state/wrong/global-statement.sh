sh "$BRIDLE_SOLUTION"
sed -i 's/^    _DEFAULT._reset()/    global _DEFAULT\n    _DEFAULT._reset()\n    _DEFAULT = _DEFAULT/' mailer/send.py
