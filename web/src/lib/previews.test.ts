import { beforeEach, expect, test, vi } from 'vitest';
import { Failure } from './api/call';
import { PREVIEWS, type Preview } from './api/film';
import { Previews } from './previews.svelte';

/** What was asked for and not answered yet. */
let open: { ids: string[]; answer: (at: number, live?: boolean) => void; fail: () => void }[];
vi.mock('./api/film', async (original) => ({
  ...(await original<typeof import('./api/film')>()),
  readPreviews: (ids: string[]) =>
    new Promise<Preview[]>((answer, fail) => {
      open.push({
        ids,
        answer: (at, live = true) => answer(ids.map((id) => ({ id, at, live, cols: 80, rows: 24, lines: [] }))),
        fail: () => fail(new Failure('unavailable')),
      });
    }),
}));
beforeEach(() => (open = []));

test('all pictures are asked for again, as many at once as may be', async () => {
  const previews = new Previews();
  const ids = Array.from({ length: 2 * PREVIEWS + 1 }, (_, at) => String(at));
  const done = previews.want(ids);
  for (const [piece, count] of [PREVIEWS, PREVIEWS, 1].entries()) {
    expect(open[piece]?.ids.length).toBe(count);
    open[piece]?.answer(1);
    await vi.waitFor(() => expect(previews.asked.get(open[piece]?.ids.at(-1) ?? '')).toBe(true));
  }
  await done;
  expect(previews.all.size).toBe(ids.length);

  const again = previews.want(ids, true);
  await previews.want(ids, true);
  expect(open.length, 'not twice at once').toBe(4);
  for (const piece of [3, 4, 5]) {
    await vi.waitFor(() => expect(open.length).toBe(piece + 1));
    open[piece]?.answer(2);
  }
  await again;
  expect([...previews.all.values()].every(({ at }) => at === 2)).toBe(true);
});

test('an old picture does not replace a newer one, but that of the middle does once it has ended', async () => {
  const previews = new Previews();
  const first = previews.want(['one']);
  const second = previews.want(['one'], true);
  open[1]?.answer(2);
  open[0]?.answer(1);
  await Promise.all([first, second]);
  expect(previews.all.get('one')?.at).toBe(2);
  const ended = previews.want(['one'], true);
  open.at(-1)?.answer(1, false);
  await ended;
  expect(previews.all.get('one')?.at).toBe(1);
});

test('what failed is told while it is wanted, until it is answered, and asked for again alone', async () => {
  const previews = new Previews();
  const ids = Array.from({ length: PREVIEWS + 1 }, (_, at) => String(at));
  const asked = previews.want(ids);
  open[0]?.fail();
  await vi.waitFor(() => expect(open.length).toBe(2));
  open[1]?.answer(1);
  await asked;
  expect(previews.failure?.fault).toBe('unavailable');
  await previews.want([]);
  expect(previews.failure).toBe(undefined);
  await previews.want(ids);
  expect(previews.failure?.fault).toBe('unavailable');
  const again = previews.load();
  expect(open[2]?.ids).toEqual(ids.slice(0, PREVIEWS));
  open[2]?.answer(1);
  await again;
  expect(previews.failure).toBe(undefined);
});
