import { afterEach, expect, test, vi } from 'vitest';
import type { End, SearchLine } from '$lib/api/film';
import { Find } from './find.svelte';

const hit = (at: number): SearchLine => ({ hit: { at, seq: at, row: 0, text: 'it', from: 0, to: 2 } });
const end = (more: Partial<End>): SearchLine => ({ end: { after: '9', at: 600, seq: 9, more: false, live: false, length_ms: 600, ...more } });

/** Searches, and is answered with these lines. */
async function found(...lines: SearchLine[]): Promise<Find> {
  vi.stubGlobal('fetch', async () => new Response(lines.map((line) => JSON.stringify(line)).join('\n')));
  const find = new Find('id', () => 'ticket');
  find.text = 'it';
  await find.search();
  return find;
}

afterEach(() => vi.unstubAllGlobals());

test('a search that comes to its end is no failure, and nothing is damaged', async () => {
  const find = await found(hit(5), { reached: { at: 200 } }, hit(300), end({}));
  expect([find.hits.length, find.failure, find.damage, find.reached]).toEqual([2, undefined, undefined, undefined]);
});

test('a search that stops early says behind which moment nothing was searched, and why', async () => {
  for (const [lines, at] of [
    [[{ reached: { at: 200 } }, end({ damage: 'why' })], 200],
    [[{ reached: { at: 200 } }, hit(300), end({ damage: 'why' })], 300],
    [[{ reached: { at: 200 } }, end({ damage: 'why', at: 400 })], 400],
    [[end({ damage: 'why', at: 0 })], 0],
  ] as [SearchLine[], number][]) {
    expect((await found(...lines)).damage, String(at)).toEqual({ at, why: 'why' });
  }
});

test('a search that was stopped finds nothing more', async () => {
  const lines = [hit(5), { reached: { at: 200 } }, hit(300), end({})];
  vi.stubGlobal('fetch', async () => new Response(lines.map((line) => JSON.stringify(line)).join('\n')));
  const find = new Find('id', () => 'ticket');
  find.text = 'it';
  const searching = find.search();
  find.clear();
  await searching;
  expect([find.hits, find.reached, find.failure]).toEqual([[], undefined, undefined]);
});

test('a search without an end has failed, and what it found stays', async () => {
  const find = await found(hit(5), { reached: { at: 200 } });
  expect([find.hits.length, find.failure?.fault, find.reached]).toEqual([1, 'unavailable', undefined]);
});
