import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Cue, End, Film, ReelLine } from '$lib/api/film';
import type { Screen } from '$lib/terminal/screen';
import { Player } from './player.svelte';

let made: Player;
let frames: (() => void)[] = [];
let now = 0;

beforeEach(() => {
  [frames, now] = [[], 0];
  vi.stubGlobal('requestAnimationFrame', (frame: () => void) => frames.push(frame));
  vi.stubGlobal('cancelAnimationFrame', () => {});
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  made.dispose();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const picture: ReelLine = { picture: { seq: 0, at: 0, cols: 80, rows: 24, dump: '' } };
const end = (more: Partial<End>): ReelLine => ({ end: { after: '9', at: 600_000, seq: 9, more: false, live: false, length_ms: 600_000, ...more } });
const said = (seq: number): Cue => [1_000, seq, 'm', { kind: 'mark', text: `mark ${seq}` }];

const turn = () => new Promise((done) => setTimeout(done));

/** A player of a reel, at its beginning; and what it asks. */
async function player(live: boolean, ...answers: ReelLine[][]) {
  const fetch = vi.fn(async () => {
    const lines = answers.shift();
    if (!lines) return new Promise<Response>(() => {});
    return new Response(lines.map((line) => JSON.stringify(line)).join('\n'));
  });
  vi.stubGlobal('fetch', fetch);
  const term = { cols: 80, rows: 24, element: {}, resize: () => {}, write: (_: string, done?: () => void) => done?.() };
  made = new Player('id', 'ticket', { length_ms: 600_000, live, seq: 5 }, { term } as unknown as Screen);
  // The picture is there before what follows it.
  await made.seek(0, true);
  await turn();
  return fetch;
}

/** Lets time pass, frame by frame. */
async function pass(ms: number) {
  for (const until = now + ms; now < until; ) {
    now += 100;
    for (const frame of frames.splice(0)) frame();
    await turn();
  }
}

test('playing stops where the recording cannot be read any further, and it is told', async () => {
  await player(false, [picture, [1_000, 1, 'o', 'text'], end({ at: 1_000, damage: 'why' })]);
  expect(made.damage).toEqual({ at: 1_000, why: 'why' });
  made.play();
  await pass(3_000);
  expect([made.playing, made.ended, made.at]).toEqual([false, true, 1_000]);
});

test('a live one that is damaged is not asked for again and again', async () => {
  const answer = [picture, end({ at: 1_000, live: true, damage: 'why' })];
  const fetch = await player(true, answer, answer);
  await made.follow();
  await pass(1_000);
  expect([fetch.mock.calls.length, made.following, made.playing]).toEqual([2, false, false]);
});

test('marks that the film does not have are remembered until it has them, and said as they are played', async () => {
  await player(true, [picture, said(5), said(6), end({ after: '6', live: true })], [said(7), end({ live: true })]);
  expect(made.notes.map(({ seq }) => seq)).toEqual([6]);
  made.play();
  await pass(1_500);
  expect(made.notes.map(({ seq }) => seq)).toEqual([6, 7]);
  expect(made.message).toBe('mark 7');
  made.take({ seq: 6, live: true } as Film);
  expect(made.notes.map(({ seq }) => seq)).toEqual([7]);
});
