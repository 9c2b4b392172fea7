sed -i 's|return sum(each.*|return (sum(cents) * (100 - percent_off) + 50) // 100|' shop/pricing.py
