import { expect, test } from 'vitest';
import { terminalAt, terminalOf } from './arrival';

const STATE = 'a0'.repeat(32);

test('an address says which terminal waits, and where it listens only if it says so whole', () => {
  const check = (hash: string, code: string, port: number) =>
    expect(terminalOf(hash), hash).toEqual({ code, port, state: port ? STATE : '' });
  check('', '', 0);
  check('#abcd-efgh', 'abcd-efgh', 0);
  check(`#abcd-efgh.40001.${STATE}`, 'abcd-efgh', 40_001);
  for (const place of ['40001', `.${STATE}`, `40001.${STATE}.x`, `40001.${STATE}0`, `22.${STATE}`, `1023.${STATE}`, `65536.${STATE}`, `4e3.${STATE}`, `1@evil.example:4000.${STATE}`, `40001.${STATE.toUpperCase()}`, '40001.']) {
    check(`#abcd-efgh.${place}`, 'abcd-efgh', 0);
  }
});

test('an answer is told to this machine and to no other', () => {
  const there = terminalOf(`#abcd-efgh.40001.${STATE}`);
  expect(terminalAt(there, 'wxyz-1234')).toBe(`http://127.0.0.1:40001/?state=${STATE}&answer=wxyz-1234`);
  expect(new URL(terminalAt(there, '@evil.example/#')).host).toBe('127.0.0.1:40001');
  expect(terminalAt(terminalOf('#abcd-efgh'), 'wxyz-1234')).toBe('');
});
