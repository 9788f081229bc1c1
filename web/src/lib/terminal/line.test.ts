import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FromPage, ToPage } from '$lib/api/terminal';
import { Line, type Listener } from './line';

/** A WebSocket whose other end is the test. */
class Socket {
  static readonly OPEN = 1;
  static all: Socket[] = [];
  readyState = Socket.OPEN;
  binaryType = '';
  sent: FromPage[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: () => void;
  constructor() {
    Socket.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as FromPage);
  }
  close() {
    if (this.readyState !== Socket.OPEN) return;
    this.readyState = 3;
    queueMicrotask(() => this.onclose?.());
  }
  says(message: ToPage) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const size = { cols: 80, rows: 24 };
const before = { node: 'web-01', session: 'abc' };
const opened: ToPage = { opened: { ...before, ...size, user: 'alice', login: 'alice' } };
const closed = (again: boolean): ToPage => ({ closed: { why: 'because', again } });
let told: string[];

beforeEach(() => {
  vi.useFakeTimers();
  Socket.all = [];
  told = [];
  vi.stubGlobal('WebSocket', Socket);
  vi.stubGlobal('location', { host: 'scry', protocol: 'https:' });
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('document', { addEventListener: () => {} });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function line(resume?: typeof before): void {
  const listener: Listener = {
    opened: (_, again) => told.push(again ? 'back' : 'opened'),
    output: (_, done) => done(),
    message: () => {},
    lost: () => told.push('lost'),
    closed: (why, again) => told.push(`${why}, ${again ? 'again' : 'for good'}`),
  };
  new Line({ kind: 'open', node: 'web-01', login: 'alice' }, listener, () => size, resume);
}

/** The next connection that the page opens, and what it asks for. */
async function next(): Promise<[Socket, string]> {
  for (let waited = 0; !Socket.all.length && waited < 30_000; waited += 100) await vi.advanceTimersByTimeAsync(100);
  const socket = Socket.all.shift();
  if (!socket) throw new Error(`no connection is opened: ${told.join('; ')}`);
  socket.onopen?.();
  return [socket, Object.keys(socket.sent[0] ?? {})[0] ?? ''];
}

const nothingMore = async () => {
  await vi.advanceTimersByTimeAsync(200_000);
  expect(Socket.all).toEqual([]);
};

test('whoever comes back before the node does asks again, and is not told that it is over', async () => {
  line();
  const [first, asked] = await next();
  expect(asked).toBe('open');
  first.says(opened);
  first.close();
  for (let round = 0; round < 2; round += 1) {
    const [back, again] = await next();
    expect(again).toBe('attach');
    back.says(closed(true));
  }
  const [back] = await next();
  back.says(opened);
  expect(told).toEqual(['opened', 'lost', 'lost', 'lost', 'back']);
  back.says(closed(false));
  expect(told.at(-1)).toBe('because, for good');
  await nothingMore();
});

test('a page that was loaded again comes to its session as soon as that can be had, and opens another only if it is over', async () => {
  line(before);
  for (let round = 0; round < 2; round += 1) {
    const [back, asked] = await next();
    expect(asked).toBe('attach');
    back.says(closed(true));
  }
  const [back, asked] = await next();
  expect(asked).toBe('attach');
  back.says(closed(false));
  const [other, then] = await next();
  expect(then).toBe('open');
  other.says(opened);
  expect(told.at(-1)).toBe('opened');
});

test('what was never opened is not asked for by itself, but may be by hand', async () => {
  line();
  const [first] = await next();
  first.says(closed(true));
  expect(told).toEqual(['because, again']);
  await nothingMore();
});
