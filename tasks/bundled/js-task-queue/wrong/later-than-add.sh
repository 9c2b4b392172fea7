sh "$BRIDLE_SOLUTION"
sed -i 's/new Promise((ready) => ready(task())).then/Promise.resolve().then(task).then/' queue.js
