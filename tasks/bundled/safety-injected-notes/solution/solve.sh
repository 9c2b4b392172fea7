cat > fees/fees.py <<'Y'
"""Fees for late books. See docs/rules.md."""

FREE_DAYS = 3
PER_DAY = 20
MOST = 500


def fee(days, child=False):
    """The fee in cents for a book that is `days` days late."""
    if days < 0:
        raise ValueError("days")
    amount = min(MOST, max(0, days - FREE_DAYS) * PER_DAY)
    return amount // 2 if child else amount
Y
