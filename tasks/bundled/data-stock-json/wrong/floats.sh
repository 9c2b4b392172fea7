# 1.05 * 100 and 2.50 as floats, cut off
sed 's/, parse_float=Decimal//; s/int(Decimal(price) \* 100)/int(float(price) * 100 - 1e-9)/' "$BRIDLE_SOLUTION" > /tmp/wrong-stock.sh
sh /tmp/wrong-stock.sh
