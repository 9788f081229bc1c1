import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Failure } from './api/call';
import { LATE_MS, Load } from './load.svelte';

/** Questions that are open, each answered by the test. */
let open: { answer: (value: string) => void; fail: (why: unknown) => void; signal: AbortSignal }[];
const ask = (signal: AbortSignal) =>
  new Promise<string>((answer, fail) => {
    signal.addEventListener('abort', () => fail(signal.reason));
    open.push({ answer, fail, signal });
  });
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('document', { visibilityState: 'visible' });
  open = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('an answer that takes longer than the interval comes all the same', async () => {
  const load = new Load(ask);
  const stop = load.every(1_000);
  await passes(3_500);
  expect(open.length).toBe(1);
  open[0]?.answer('slow');
  await passes(1_000);
  expect(load.value).toBe('slow');
  expect(open.length).toBe(2);
  stop();
  expect([open[1]?.signal.aborted, load.busy]).toEqual([true, false]);
});

test('a failure stands beside the answer that was there, with the time of that answer', async () => {
  const load = new Load(ask);
  void load.load();
  open[0]?.answer('first');
  await passes(0);
  const { answered } = load;
  expect(answered).toBe(Date.now());
  await passes(5_000);
  void load.load();
  open[1]?.fail(new Failure('unavailable'));
  await passes(0);
  expect([load.value, load.failure?.fault, load.answered]).toEqual(['first', 'unavailable', answered]);
  load.drop();
  expect([load.value, load.failure, load.answered, load.empty]).toEqual([undefined, undefined, undefined, true]);
});

test('of two questions the later one counts, and one that nobody answers fails', async () => {
  const load = new Load(ask);
  void load.load();
  void load.load();
  open[0]?.answer('old');
  open[1]?.answer('new');
  await passes(0);
  expect(load.value).toBe('new');
  const stop = load.every(7_000);
  await passes(LATE_MS);
  expect([load.failure?.fault, load.busy]).toEqual(['offline', false]);
  await passes(7_000);
  expect(open.length).toBe(4);
  stop();
});
