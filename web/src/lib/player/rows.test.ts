import { expect, test } from 'vitest';
import { drawn, Moments, reveal } from './rows';

test('only what is seen and a little beside it is drawn, however long the list is', () => {
  const check = (top: number, count: number, wanted: [number, number]) => expect(drawn(top, 260, 26, count)).toEqual(wanted);
  check(0, 20_000, [0, 22]);
  check(26 * 10_000, 20_000, [9_988, 10_022]);
  check(26 * 19_990, 20_000, [19_978, 20_000]);
  check(26 * 500, 3, [3, 3]);
  check(-40, 3, [0, 3]);
  check(0, 0, [0, 0]);
  expect(drawn(0, 260, 0, 100)).toEqual([0, 0]);
});

test('a row that is seen stays where it is, one beside comes in, one far away comes to a third', () => {
  const check = (place: number, wanted: number) => expect(reveal(place, 260, 300, 20)).toBe(wanted);
  check(13, 260);
  check(27, 260);
  check(12, 240);
  check(28, 280);
  check(0, 0);
  check(100, 1_900);
});

test('the row of a moment is the last that was, whatever order rows stand in', () => {
  const moments = new Moments([10, 50, 20, 20, 40]);
  const found = [5, 10, 20, 39, 40, 1_000].map((moment) => moments.at(moment));
  expect(found).toEqual([-1, 0, 3, 3, 4, 1]);
  expect(new Moments([]).at(5)).toBe(-1);
});
