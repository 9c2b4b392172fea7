sed -i 's/year % 100 != 0$/(year % 100 != 0 or year == 2000)/' calendar_days.py
