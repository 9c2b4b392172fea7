# the first commit takes the new docstring along
sed 's/^git commit -q -a -m/sed -i "s|pays.\\"\\"\\"|pays: rounded up, so that nothing is missing.\\"\\"\\"|" calc.py\n&/' "$BRIDLE_SOLUTION" > /tmp/wrong-split.sh
sh /tmp/wrong-split.sh
