cat > queue.js <<'Y'
'use strict';

/** Runs tasks (functions), at most `limit` at a time, those of the highest priority first. */
class Queue {
  constructor(limit) {
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`no limit: ${String(limit)}`);
    this.limit = limit;
    this.running = 0;
    this.paused = false;
    this.waiting = [];
    this.watchers = [];
  }

  get size() {
    return this.waiting.length;
  }

  add(task, { priority = 0, signal } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const entry = { task, priority, signal, resolve, reject };
      entry.abort = () => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(signal.reason);
        this.settle();
      };
      const place = this.waiting.findIndex((other) => other.priority < priority);
      this.waiting.splice(place < 0 ? this.waiting.length : place, 0, entry);
      signal?.addEventListener('abort', entry.abort, { once: true });
      this.settle();
    });
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    this.settle();
  }

  idle() {
    return new Promise((resolve) => {
      this.watchers.push(resolve);
      this.settle();
    });
  }

  /** Begin what can begin, and tell those who wait for the end. */
  settle() {
    while (!this.paused && this.running < this.limit && this.waiting.length) this.begin(this.waiting.shift());
    if (!this.running && !this.waiting.length) this.watchers.splice(0).forEach((resolve) => resolve());
  }

  begin({ task, signal, abort, resolve, reject }) {
    signal?.removeEventListener('abort', abort);
    this.running += 1;
    const done = (tell) => (value) => {
      this.running -= 1;
      tell(value);
      this.settle();
    };
    new Promise((ready) => ready(task())).then(done(resolve), done(reject));
  }
}

module.exports = { Queue };
Y
