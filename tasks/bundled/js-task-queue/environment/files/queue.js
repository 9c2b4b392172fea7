'use strict';

/** Runs tasks (functions that return a promise), at most `limit` at a time. */
class Queue {
  constructor(limit) {
    this.limit = limit;
    this.running = 0;
    this.waiting = [];
  }

  add(task) {
    return new Promise((resolve) => {
      this.waiting.push({ task, resolve });
      this.next();
    });
  }

  next() {
    if (this.running > this.limit) return;
    const { task, resolve } = this.waiting.pop();
    this.running += 1;
    task().then((value) => {
      this.running -= 1;
      resolve(value);
      this.next();
    });
  }
}

module.exports = { Queue };
