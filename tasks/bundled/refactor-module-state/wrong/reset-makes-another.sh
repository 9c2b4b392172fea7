sh "$BRIDLE_SOLUTION"
sed -i 's/_DEFAULT._reset()/globals()["_DEFAULT"] = Mailer()/' mailer/send.py
