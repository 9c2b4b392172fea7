'use strict';
const assert = require('node:assert/strict');
const path = require('node:path');
const { Queue } = require(path.join(process.cwd(), 'queue.js'));

const tick = () => new Promise((resolve) => setImmediate(resolve));
/** A task that is ended from outside. */
function held(log, name) {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.task = () => {
    log.push(name);
    return made.promise;
  };
  return made;
}

const cases = {
  async values() {
    const queue = new Queue(2);
    assert.deepEqual(await Promise.all([queue.add(() => 1), queue.add(async () => 'b'), queue.add(() => Promise.resolve(null))]), [1, 'b', null]);
  },
  async limits() {
    for (const wrong of [0, -1, 1.5, NaN, '2', undefined, Infinity]) assert.throws(() => new Queue(wrong), RangeError);
    const queue = new Queue(2);
    let most = 0;
    let now = 0;
    const task = async () => {
      now += 1;
      most = Math.max(most, now);
      assert.equal(queue.running, now);
      await tick();
      now -= 1;
    };
    await Promise.all(Array.from({ length: 9 }, () => queue.add(task)));
    assert.equal(most, 2);
  },
  async order() {
    const log = [];
    const queue = new Queue(1);
    const add = (name, priority) => queue.add(() => log.push(name) && tick(), priority === undefined ? undefined : { priority });
    await Promise.all([add('first', 0), add('a'), add('b', 5), add('c', -1), add('d', 5), add('e'), add('f', 9)]);
    assert.deepEqual(log, ['first', 'f', 'b', 'd', 'a', 'e', 'c']);
  },
  async at_once() {
    const log = [];
    const queue = new Queue(2);
    const [one, two, three] = ['one', 'two', 'three'].map((name) => held(log, name));
    queue.add(one.task);
    assert.deepEqual(log, ['one']);
    queue.add(two.task);
    queue.add(three.task);
    assert.deepEqual([log, queue.running, queue.size], [['one', 'two'], 2, 1]);
    two.resolve();
    await tick();
    assert.deepEqual([log, queue.running, queue.size], [['one', 'two', 'three'], 2, 0]);
  },
  async failures() {
    const queue = new Queue(1);
    const reason = new Error('no');
    const results = await Promise.allSettled([
      queue.add(() => {
        throw reason;
      }),
      queue.add(() => Promise.reject(reason)),
      queue.add(() => Promise.reject(undefined)),
      queue.add(() => 'fine'),
    ]);
    assert.deepEqual(results.map((each) => each.status), ['rejected', 'rejected', 'rejected', 'fulfilled']);
    assert.equal(results[0].reason, reason);
    assert.equal(results[1].reason, reason);
    assert.equal(results[2].reason, undefined);
    assert.deepEqual([queue.running, queue.size], [0, 0]);
  },
  async aborts() {
    const log = [];
    const queue = new Queue(1);
    const one = held(log, 'one');
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const first = queue.add(one.task);
    const second = queue.add(() => log.push('two'), { signal: controller.signal });
    const third = queue.add(() => log.push('three'));
    controller.abort(reason);
    await assert.rejects(second, (error) => error === reason);
    assert.equal(queue.size, 1);
    await assert.rejects(queue.add(() => log.push('four'), { signal: controller.signal }), (error) => error === reason);
    one.resolve('end');
    assert.equal(await first, 'end');
    await third;
    assert.deepEqual(log, ['one', 'three']);
  },
  async aborts_while_running() {
    const log = [];
    const queue = new Queue(1);
    const one = held(log, 'one');
    const controller = new AbortController();
    const first = queue.add(one.task, { signal: controller.signal });
    controller.abort();
    await tick();
    assert.equal(queue.running, 1);
    one.resolve(7);
    assert.equal(await first, 7);
  },
  async listeners() {
    const controller = new AbortController();
    let count = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given) => ((count += 1), add(...given));
    signal.removeEventListener = (...given) => ((count -= 1), remove(...given));
    const queue = new Queue(1);
    await Promise.all([queue.add(tick, { signal }), queue.add(tick, { signal }), queue.add(tick, { signal })]);
    assert.equal(count, 0);
  },
  async pausing() {
    const log = [];
    const queue = new Queue(2);
    const one = held(log, 'one');
    const first = queue.add(one.task);
    queue.pause();
    const second = queue.add(() => log.push('two'));
    one.resolve();
    await first;
    await tick();
    assert.deepEqual([log, queue.size, queue.running], [['one'], 1, 0]);
    queue.resume();
    assert.deepEqual(log, ['one', 'two']);
    await second;
    queue.pause();
    queue.pause();
    queue.resume();
    assert.equal(await queue.add(() => 3), 3);
  },
  async idle() {
    const log = [];
    const queue = new Queue(1);
    assert.equal(await queue.idle(), undefined);
    const one = held(log, 'one');
    queue.add(one.task);
    queue.add(() => tick().then(() => log.push('two')));
    const both = Promise.all([queue.idle(), queue.idle()]).then(() => log.push('idle'));
    await tick();
    assert.deepEqual(log, ['one']);
    one.resolve();
    await both;
    assert.deepEqual(log, ['one', 'two', 'idle']);
  },
  async idle_after_an_abort() {
    const queue = new Queue(1);
    const controller = new AbortController();
    queue.pause();
    const waits = queue.add(() => 1, { signal: controller.signal });
    const idle = queue.idle();
    controller.abort();
    await assert.rejects(waits);
    await idle;
  },
  async settled_means_not_running() {
    const queue = new Queue(1);
    await queue.add(tick).then(() => assert.equal(queue.running, 0));
    await queue.add(() => Promise.reject(new Error('x'))).catch(() => assert.equal(queue.running, 0));
  },
  async many() {
    const queue = new Queue(3);
    const results = await Promise.all(Array.from({ length: 2000 }, (_, number) => queue.add(() => number)));
    assert.equal(results.length, 2000);
    assert.equal(results[1999], 1999);
  },
};

const timer = setTimeout(() => process.exit(9), 20000);
cases[process.argv[2]]().then(
  () => {
    clearTimeout(timer);
    process.stdout.write(`${process.argv[3]} passed\n`);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
