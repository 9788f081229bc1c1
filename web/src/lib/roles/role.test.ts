import { expect, test } from 'vitest';
import { carries, changes, draftOf, faults, labelWords, readLabels, said } from './role';

test('a role goes through the form as it is', () => {
  for (const role of [
    { name: 'admin' },
    { name: 'x', description: 'y', allow: { logins: ['{user}'], nodes: { '*': ['*'] }, recordings: { list: 'none', play: { nodes: { env: [] } } } } },
    // A label without values is carried by no node; without the label the role would allow more.
    { name: 'x', allow: { logins: ['root'], nodes: { env: [], team: ['web'] } }, deny: { nodes: { env: [] } } },
    { name: 'x', allow: { join: [{ roles: [], seats: [] }], share: ['peer'] } },
    { name: 'x', allow: { join: [{ roles: ['dev'], nodes: { env: ['prod'] }, seats: ['moderator'] }] } },
    { name: 'x', options: { record_typed: false, kernel: { files: false, ledger: ['changes', 'programs'] }, record_where: [{ logins: ['root'], record: 'strict' }] } },
    { name: 'x', options: { four_eyes: [{ name: 'prod', roles: ['ops'], seats: [], count: 2 }, { name: 'y', roles: [], on_leave: 'end' }] } },
    { name: 'x', options: { idle_minutes: 0, four_eyes: [{ name: 'y', roles: ['*'] }] }, something: { new: 1 } },
  ]) {
    expect(said(draftOf(role)), JSON.stringify(role)).toEqual(role);
  }
});

test('labels are read as they are written', () => {
  for (const text of ['', '*', 'env=prod', 'env=prod|staging team=*']) {
    const read = readLabels(text);
    expect(typeof read === 'string' ? read : labelWords(read)).toBe(text);
  }
  expect(readLabels(' env=prod,team=web ')).toEqual({ env: ['prod'], team: ['web'] });
  for (const text of ['env', '=x', 'a=b=c', 'env=', 'env=a|', 'env=a env=b', '**']) expect(typeof readLabels(text), text).toBe('string');
});

test('a node carries labels or not', () => {
  const labels = { env: 'prod', team: 'web' };
  for (const [wanted, expected] of [
    [{}, false],
    [{ '*': ['*'] }, true],
    [{ '*': ['*'], env: ['staging'] }, false],
    [{ env: ['prod'] }, true],
    [{ env: ['staging', 'prod'], team: ['*'] }, true],
    [{ env: [] }, false],
    [{ other: ['*'] }, false],
  ] as const) {
    expect(carries(labels, wanted as unknown as Record<string, string[]>), JSON.stringify(wanted)).toBe(expected);
  }
});

test('what is wrong is told, and where', () => {
  const of = (role: object) => faults(draftOf({ name: 'x', ...role })).map(({ at }) => at);
  expect(of({})).toEqual([]);
  expect(of({ name: 'X' })).toEqual(['name']);
  expect(of({ allow: { logins: ['root'] } })).toEqual(['allow']);
  expect(of({ allow: { nodes: { '*': ['*'] } } })).toEqual(['allow']);
  expect(of({ allow: { guests: ['peer'], share: ['observer'] } })).toEqual(['join']);
  expect(of({ allow: { join: [{ roles: ['*'], seats: ['peer'] }] } })).toEqual([]);
  expect(of({ allow: { join: [{}] } })).toEqual(['join', 'join']);
  expect(of({ options: { session_minutes: 0, idle_minutes: 1.5, exec_stream_bytes: -1 } })).toEqual(['options', 'options', 'options']);
  expect(of({ options: { four_eyes: [{ name: 'a', roles: ['*'] }] } })).toEqual([]);
  expect(of({ options: { four_eyes: [{ seats: [], count: 0 }] } })).toEqual(['four_eyes', 'four_eyes', 'four_eyes', 'four_eyes']);
});

test('changes are the lines that go and come', () => {
  const told = (before: string, after: string) => changes(before, after).map(({ is, text }) => is + text);
  expect(told('a\nb\nc', 'a\nx\nc')).toEqual([' a', '-b', '+x', ' c']);
  expect(told('', 'a\nb')).toEqual(['+a', '+b']);
  expect(told('a\nb', 'b\nc')).toEqual(['-a', ' b', '+c']);
});
