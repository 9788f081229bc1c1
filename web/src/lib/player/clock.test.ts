import { expect, test } from 'vitest';
import { Clock } from './clock';

test('playing goes on with the clock, at its speed, and stands still when paused', () => {
  const clock = new Clock();
  clock.place(1_000, 0);
  expect(clock.position(500)).toBe(1_000);
  clock.play(500);
  expect(clock.position(1_500)).toBe(2_000);
  clock.setSpeed(4, 1_500);
  expect(clock.position(2_500)).toBe(6_000);
  clock.pause(2_500);
  expect(clock.position(9_999)).toBe(6_000);
});

test('it never runs beyond what is here', () => {
  const clock = new Clock();
  clock.play(0);
  expect(clock.position(5_000, 3_000)).toBe(3_000);
  clock.pause(5_000, 3_000);
  expect(clock.position(6_000)).toBe(3_000);
});

test('a pause is cut behind two seconds, and only then', () => {
  const clock = new Clock();
  clock.play(0);
  expect(clock.cut(0, 60_000, 1_500)).toBe(0);
  expect(clock.cut(0, 60_000, 2_000)).toBe(58_000);
  expect(clock.position(2_000)).toBe(60_000);
  expect(clock.cut(60_000, 61_500, 5_000)).toBe(0);
  clock.skipIdle = false;
  expect(clock.cut(60_000, 99_000, 9_000)).toBe(0);
});

test('speeds go step by step and stop at both ends', () => {
  const clock = new Clock();
  expect(clock.faster(true)).toBe(2);
  clock.setSpeed(99, 0);
  expect(clock.speed).toBe(16);
  expect(clock.faster(true)).toBe(16);
  clock.setSpeed(0, 0);
  expect(clock.faster(false)).toBe(0.25);
});
