import { expect, test } from 'vitest';
import type { Cue, Mark, MarkKind } from '$lib/api/film';
import { beside, cluster, heights, leftOut, marksIn, thinned, ticks, toSay, toTime, toX, typistsAt } from './timeline';

const mark = (at: number, kind: MarkKind): Mark => ({ at, seq: at, kind, text: '' });

test('a moment and its place lead to each other, and nothing stands outside', () => {
  for (const at of [0, 1, 500, 36_000]) expect(toTime(toX(at, 36_000, 720), 36_000, 720)).toBeCloseTo(at);
  expect(toX(99, 10, 100)).toBe(100);
  expect(toX(-5, 10, 100)).toBe(0);
  expect(toX(5, 0, 100)).toBe(0);
  expect(toTime(50, 100, 0)).toBe(0);
});

test('a key press is seen beside a flood, and silence is no bar', () => {
  const bars = heights([0, 1, 1_000_000, 0], 1_000, 4_000, 4);
  expect(bars[0]).toBe(0);
  expect(bars[1]).toBeGreaterThanOrEqual(0.05);
  expect(bars[2]).toBe(1);
  expect(bars[3]).toBe(0);
});

test('fewer buckets than bars leave no holes in a stretch of activity', () => {
  expect(heights([10, 10], 1_000, 2_000, 8).every((bar) => bar > 0)).toBe(true);
  expect(heights([], 1_000, 0, 3)).toEqual([0, 0, 0]);
});

test('marks that would lie on each other are one, lane by lane', () => {
  const marks = [mark(0, 'command'), mark(10, 'command'), mark(10, 'gap'), mark(900, 'command')];
  const clusters = cluster(marks, 1_000, 100, 4);
  expect(clusters.map((one) => [one.lane, one.marks.length])).toEqual([
    ['command', 2],
    ['gap', 1],
    ['command', 1],
  ]);
});

test('labels stand at round moments', () => {
  expect(ticks(10_000, 5)).toEqual([2_000, 4_000, 6_000, 8_000]);
  expect(ticks(36_000_000, 6).every((at) => at % 7_200_000 === 0)).toBe(true);
});

test('jumping to marks leaves out the end and programs, unless they are meant', () => {
  const marks = [mark(1, 'people'), mark(5, 'command'), mark(9, 'gap'), mark(10, 'end')];
  expect(beside(marks, 1, true)?.at).toBe(9);
  expect(beside(marks, 9, true)).toBeUndefined();
  expect(beside(marks, 9, false)?.at).toBe(1);
  expect(beside(marks, 0, true, ['command'])?.at).toBe(5);
});

test('of lanes that are thinned out it is told how many marks are drawn, and of how many', () => {
  const marks = [mark(1, 'people'), mark(2, 'said'), mark(3, 'command'), mark(4, 'end')];
  expect(thinned(marks, {})).toEqual([]);
  expect(thinned(marks, { command: 7, said: 2, typing: 3 })).toEqual([
    { lane: 'command', drawn: 1, of: 8 },
    { lane: 'people', drawn: 2, of: 7 },
  ]);
  expect([leftOut({}), leftOut({ command: 7, said: 2 }), leftOut({ command: 7, said: 2 }, ['command'])]).toEqual([0, 2, 7]);
});

test('of cues that were played a gap is said before all else, and programs are not', () => {
  const cue = (seq: number, kind: MarkKind): Cue => [seq, seq, 'm', { kind, text: `${kind} ${seq}` }];
  const said = (...cues: Cue[]) => toSay([[0, 1, 'o', 'text'], ...cues]);
  expect(said()).toBeUndefined();
  expect(said(cue(2, 'command'))).toBeUndefined();
  expect(said(cue(2, 'people'), cue(3, 'mark'), cue(4, 'command'))).toBe('mark 3');
  expect(said(cue(2, 'gap'), cue(3, 'people'))).toBe('gap 2');
  expect(marksIn([cue(2, 'gap'), cue(3, 'mark')], 2)).toEqual([{ at: 3, seq: 3, kind: 'mark', text: 'mark 3' }]);
});

test('whoever types is said to while they do and a moment longer, and the other is not', () => {
  const typing = { people: ['alice', 'bob'], bursts: [[0, 4_000, 0], [4_500, 6_000, 1], [5_000, 5_000, 0], [9_000, 9_000, 1]] as [number, number, number][] };
  for (const [at, who] of [
    [0, ['alice']],
    [4_400, ['alice']],
    [4_500, ['bob']],
    [5_000, ['bob', 'alice']],
    [5_900, ['bob']],
    [6_999, ['bob']],
    [7_000, []],
    [9_500, ['bob']],
    [99_000, []],
  ] as const) {
    expect(typistsAt(typing, at), String(at)).toEqual(who);
  }
  expect(typistsAt(null, 5)).toEqual([]);
});
