// A keyframe drawn in xterm.js is what xterm.js shows that was given everything up to it, and goes on alike.
//
// The streams and their pictures are made by `cargo run -p record --example films -- target/films`, which
// `cargo xtask test` does. What differs stands in `exceptions.json`, each with its reason and how often it is seen: the test
// fails when there is one more, and when there is one less, and when the list is longer than it ever was, so that it only becomes
// shorter.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import known from './exceptions.json';
import { differences, look, terminal, write, type Difference, type Terminal } from './look';

type Cue = [at: number, seq: number, code: 'o' | 'b', data: string] | [at: number, seq: number, code: 'r', data: [number, number]];
interface Picture {
  seq: number;
  cols: number;
  rows: number;
  dump: string;
}

const asked = process.env.SCRY_FILMS;
const folder = asked ?? fileURLToPath(new URL('../../../target/films', import.meta.url));
const ENDING = '.pictures.ndjson';
const streams = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length)) : [];

/** How many exceptions there may be, and how often they may be seen altogether. Whoever makes them fewer makes these less; they are
 * never more. `cargo xtask tidy` compares them with every commit before. */
const MOST = { exceptions: 12, times: 206 };

const lines = (name: string): unknown[] => readFileSync(`${folder}/${name}`, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));

async function play(term: Terminal, [, , code, data]: Cue): Promise<void> {
  if (code === 'r') term.resize(Math.max(2, data[0]), Math.max(1, data[1]));
  else await write(term, code === 'b' ? Buffer.from(data, 'base64') : data);
}

/** What differs at each picture of a stream: of the picture itself, and of the one before it that went on. */
async function compared(stream: string): Promise<Difference[]> {
  const [head, ...cues] = lines(`${stream}.ndjson`) as [{ size: [number, number] }, ...Cue[]];
  const pictures = (lines(`${stream}${ENDING}`) as { picture: Picture }[]).map((line) => line.picture);
  const full = terminal(head.size);
  const found: Difference[] = [];
  let shown: Terminal | undefined;
  let next = 0;
  for (const { seq, cols, rows, dump } of pictures) {
    for (let cue = cues[next]; cue && cue[1] <= seq; cue = cues[(next += 1)]) {
      await play(full, cue);
      if (shown) await play(shown, cue);
    }
    const expected = look(full);
    if (shown) found.push(...differences(expected, look(shown)));
    shown?.dispose();
    // As the player does it: whatever was there before.
    shown = terminal(head.size);
    await write(shown, '\x1b[?1049h\x1b[?6h\x1b[2;5r\x1b[41mwhat was there before\x1b[3g\x1b(0');
    shown.resize(cols, rows);
    await write(shown, `\x1bc${dump}`);
    found.push(...differences(expected, look(shown)));
  }
  expect(next, 'every cue was played').toBeGreaterThan(cues.length * 0.9);
  return found;
}

/** The same difference is told once, with how often it is seen. */
function counted(stream: string, found: Difference[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const { what, full, keyframe } of found) {
    const key = JSON.stringify({ stream, what, full, keyframe });
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  return times;
}

test('there are not more exceptions than ever', () => {
  const times = known.reduce((sum, one) => sum + one.times, 0);
  expect({ exceptions: known.length, times }, 'the bound is what there is').toEqual(MOST);
});

if (!streams.length && !asked) {
  test.skip('keyframes: no streams; `cargo run -p record --example films -- target/films` makes them', () => {});
} else {
  describe('a keyframe drawn in xterm.js equals a full replay', () => {
    test('there are streams', () => {
      expect(streams.length).toBeGreaterThanOrEqual(12);
      for (const { stream } of known) expect(streams, 'an exception is of a stream that there is').toContain(stream);
    });
    test.each(streams)('%s', { timeout: 60_000 }, async (stream) => {
      const listed = known.filter((one) => one.stream === stream);
      const expected = listed.map(({ what, full, keyframe, times }) => [JSON.stringify({ stream, what, full, keyframe }), times]);
      expect(Object.fromEntries(counted(stream, await compared(stream)))).toEqual(Object.fromEntries(expected));
    });
  });
}
