'use strict';
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
/** What became of a promise: its value, or whether it was rejected with one of the reasons that are known. */
function outcome(promise, reasons = {}) {
  return promise.then(
    (value) => (value === undefined ? 'nothing' : value),
    (reason) => Object.keys(reasons).find((name) => reasons[name] === reason) || `another reason: ${String(reason)}`,
  );
}
const thrown = (action) => {
  try {
    action();
    return 'nothing';
  } catch (error) {
    return error.constructor.name;
  }
};

/** What each case says is compared in test_queue.py. */
const cases = {
  async values(say) {
    const queue = new Queue(2);
    say(...(await Promise.all([queue.add(() => 17), queue.add(async () => 'b'), queue.add(() => Promise.resolve(null)), queue.add(() => [4])])));
  },
  async limits(say) {
    for (const limit of [0, 3, -1, 1.5, 1, NaN, '2', undefined, Infinity]) say(thrown(() => new Queue(limit)));
    for (const limit of [2, 4]) {
      const queue = new Queue(limit);
      let now = 0;
      let most = 0;
      const seen = new Set();
      const task = async () => {
        now += 1;
        most = Math.max(most, now);
        seen.add(queue.running - now);
        await tick();
        now -= 1;
      };
      await Promise.all(Array.from({ length: 9 }, () => queue.add(task)));
      say(most, [...seen]);
    }
  },
  async order(say) {
    const queue = new Queue(1);
    const add = (name, priority) => queue.add(() => say(name) || tick(), priority === undefined ? undefined : { priority });
    await Promise.all([add('first', 0), add('a'), add('b', 5), add('c', -1), add('d', 5), add('e'), add('f', 9)]);
  },
  async at_once(say) {
    const log = [];
    const queue = new Queue(2);
    const [one, two, three] = ['one', 'two', 'three'].map((name) => held(log, name));
    queue.add(one.task);
    say(log.join());
    queue.add(two.task);
    queue.add(three.task);
    say(log.join(), queue.running, queue.size);
    two.resolve();
    await tick();
    say(log.join(), queue.running, queue.size);
  },
  async failures(say) {
    const queue = new Queue(1);
    const no = new Error('no');
    const throws = () => {
      throw no;
    };
    const added = [throws, () => Promise.reject(no), () => Promise.reject(undefined), () => 'fine', throws, () => 23].map((task) => queue.add(task));
    for (const each of added) say(await outcome(each, { no, undefined }));
    say(queue.running, queue.size);
  },
  async aborts(say) {
    const log = [];
    const queue = new Queue(1);
    const one = held(log, 'one');
    const controller = new AbortController();
    const mind = new Error('changed my mind');
    const first = queue.add(one.task);
    const second = queue.add(() => log.push('two'), { signal: controller.signal });
    const third = queue.add(() => log.push('three'));
    controller.abort(mind);
    say(await outcome(second, { mind }), queue.size);
    say(await outcome(queue.add(() => log.push('four'), { signal: controller.signal }), { mind }), queue.size);
    one.resolve('end');
    say(await first);
    await third;
    say(...log);
  },
  async aborts_while_running(say) {
    const log = [];
    const queue = new Queue(1);
    const one = held(log, 'one');
    const controller = new AbortController();
    const first = queue.add(one.task, { signal: controller.signal });
    controller.abort();
    await tick();
    say(queue.running, queue.size);
    one.resolve(7);
    say(await outcome(first));
  },
  async listeners(say) {
    const controller = new AbortController();
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    let left = 5;
    signal.addEventListener = (...given) => ((left += 1), add(...given));
    signal.removeEventListener = (...given) => ((left -= 1), remove(...given));
    const queue = new Queue(1);
    const wait = () => tick().then(() => 'done');
    say(...(await Promise.all([queue.add(wait, { signal }), queue.add(wait, { signal }), queue.add(wait, { signal })])));
    say(left);
  },
  async pausing(say) {
    const log = [];
    const queue = new Queue(2);
    const one = held(log, 'one');
    const first = queue.add(one.task);
    queue.pause();
    const second = queue.add(() => log.push('two'));
    one.resolve();
    await first;
    await tick();
    say(log.join(), queue.size, queue.running);
    queue.resume();
    say(log.join());
    await second;
    queue.pause();
    queue.pause();
    queue.resume();
    say(await queue.add(() => 34));
  },
  async idle(say) {
    const log = [];
    const queue = new Queue(1);
    say(await outcome(queue.idle()));
    const one = held(log, 'one');
    queue.add(one.task);
    queue.add(() => tick().then(() => log.push('two')));
    const both = Promise.all([queue.idle(), queue.idle()]).then(() => log.push('idle'));
    await tick();
    say(log.join());
    one.resolve();
    await both;
    say(log.join());
  },
  async idle_after_an_abort(say) {
    const queue = new Queue(1);
    const controller = new AbortController();
    queue.pause();
    const waits = queue.add(() => 1, { signal: controller.signal });
    const other = queue.add(() => 1, { signal: controller.signal });
    const idle = queue.idle();
    say(queue.size, queue.running);
    const gone = new Error('gone');
    controller.abort(gone);
    say(await outcome(waits, { gone }), await outcome(other, { gone }), await outcome(idle), queue.size);
  },
  async settled_means_not_running(say) {
    const queue = new Queue(3);
    const one = held([], 'one');
    queue.add(one.task);
    await queue.add(tick).then(() => say('settled', queue.running));
    queue.add(one.task);
    await queue.add(() => Promise.reject(new Error('x'))).catch(() => say('refused', queue.running));
  },
  async many(say) {
    const queue = new Queue(3);
    const results = await Promise.all(Array.from({ length: 2000 }, (_, number) => queue.add(() => (number * 7) % 1013)));
    say(results.length, results[1999], results.reduce((sum, each) => sum + each, 0));
  },
};

const said = [];
const timer = setTimeout(() => process.exit(9), 20000);
cases[process.argv[2]]((...values) => void said.push(...values)).then(
  () => {
    clearTimeout(timer);
    process.stdout.write(`\n${JSON.stringify(said)}\n`);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
