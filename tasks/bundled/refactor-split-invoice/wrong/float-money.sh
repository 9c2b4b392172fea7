sh "$BRIDLE_SOLUTION"
sed -i 's/(sums\[rate\] \* RATES\[rate\] + 50) \/\/ 100/round(sums[rate] * RATES[rate] \/ 100)/' invoice.py
