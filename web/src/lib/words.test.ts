import { expect, test } from 'vitest';
import { ago, clock, companyWords, countWords, fits, hour, idDigits, parseClock, size, span } from './words';

test('times are said as people say them', () => {
  const now = 1_790_000_000_000;
  for (const [gone, words] of [
    [0, 'now'],
    [42_000, '42 seconds ago'],
    [60_000, '1 minute ago'],
    [-3_600_000, 'in 1 hour'],
    [-12_000, 'now'],
    [-42_000, 'in 42 seconds'],
    [2 * 86_400_000, '2 days ago'],
  ] as const) {
    expect(ago(now - gone, now)).toBe(words);
  }
  expect(span(61_000)).toBe('1 min 1 s');
  expect(span(7_500_000)).toBe('2 h 5 min');
});

test('a place on the time line is written and read the same way', () => {
  for (const [ms, text] of [
    [0, '0:00'],
    [67_000, '1:07'],
    [3_723_000, '1:02:03'],
  ] as const) {
    expect(clock(ms)).toBe(text);
    expect(parseClock(text)).toBe(ms);
  }
  expect(clock(67_890, true)).toBe('1:07.8');
  expect(parseClock('90')).toBe(90_000);
  expect(parseClock('1h2m')).toBe(3_720_000);
  for (const none of ['', 'x', '1:', '1:2:3:4', '-1']) expect(parseClock(none), none).toBeNull();
});

test('sizes and filters', () => {
  expect(size(512)).toBe('512 B');
  expect(size(1_440_000)).toBe('1.4 MB');
  expect(fits('web prod', 'web-01', 'env=prod')).toBe(true);
  expect(fits('web dev', 'web-01', 'env=prod')).toBe(false);
  expect(fits('', 'anything')).toBe(true);
});

test('counts say what is known, and nothing else is nought', () => {
  const tally = (commands: number | null, files: number | null, people: string[] = []) => ({ commands, files, people });
  expect(countWords(null).text).toBe('not counted');
  expect(countWords(tally(null, null))).toEqual({ text: '', why: '' });
  expect(countWords(tally(0, 0)).text).toBe('0 programs · 0 files');
  expect(countWords(tally(1, null))).toEqual({ text: '1 program', why: 'Files were not watched.' });
  expect(countWords(tally(null, 2))).toEqual({ text: '2 files', why: 'Programs were not watched.' });
  expect(countWords({ ...tally(12, 10_000), more_files: true }).text).toBe('12 programs · 10,000+ files');
  expect(companyWords(null)).toBe('');
  expect(companyWords(tally(1, 1))).toBe('');
  expect(companyWords(tally(1, 1, ['bob']))).toBe('with bob');
  expect(companyWords(tally(1, 1, ['bob', 'guest:Zoe']))).toBe('with bob and Zoe');
  expect(companyWords(tally(1, 1, ['bob', 'guest:Zoe', 'carol']))).toBe('with bob and 2 others');
  expect(companyWords({ ...tally(1, 1, ['bob', 'carol']), more_people: true })).toBe('with bob and 1+ others');
});

test('a time of today is its hour, another one has its date', () => {
  const noon = new Date(2026, 10, 4, 14, 3).getTime();
  expect(hour(noon, noon + 3_600_000)).toBe('14:03');
  expect(hour(noon, noon + 86_400_000)).toMatch(/^4 Nov.*, 14:03$/);
});

test('six digits may be those of an id, and be a word or a number too', () => {
  for (const [text, digits] of [
    ['decade', 'decade'],
    [' 123456 ', '123456'],
    ['0B8F6C1E-77aa', '0b8f6c1e77aa'],
    ['12345', ''],
    ['web-01', ''],
    ['0'.repeat(33), ''],
  ] as const) {
    expect(idDigits(text)).toBe(digits);
  }
});
