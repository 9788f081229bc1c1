import { expect, test } from 'vitest';
import { match, to } from './routes';

test('each address means one page, and what is no page is nowhere', () => {
  const check = (path: string, page: object) => expect(match(path), path).toEqual(page);
  check('/', { page: 'home' });
  check('/nodes', { page: 'nodes' });
  check('/nodes/', { page: 'nodes' });
  check('/nodes/x', { page: 'nowhere' });
  check('/login', { page: 'login' });
  check('/login/x', { page: 'nowhere' });
  check('/terminal/web-01/root', { page: 'terminal', node: 'web-01', login: 'root' });
  check('/terminal/web-01', { page: 'nowhere' });
  check('/terminal/web-01/root/x', { page: 'nowhere' });
  check('/search', { page: 'search' });
  check('/search/x', { page: 'nowhere' });
  check('/recordings', { page: 'recordings' });
  check('/recordings/abc', { page: 'recording', id: 'abc' });
  check('/settings', { page: 'settings', part: 'users' });
  check('/settings/roles', { page: 'settings', part: 'roles' });
  check('/watch/web-01/abc', { page: 'watch', node: 'web-01', session: 'abc' });
  check('/%zz', { page: 'nowhere' });
  check('/etc/passwd', { page: 'nowhere' });
});

test('an address that is made is read back', () => {
  expect(match(to.terminal('db.example.org', 'www-data'))).toEqual({
    page: 'terminal',
    node: 'db.example.org',
    login: 'www-data',
  });
  // Never before the moment: what is to be seen there would not have happened yet.
  expect(to.recording('abc', 12.34)).toBe('/recordings/abc?t=12.4');
  expect(to.recording('abc', 1.1)).toBe('/recordings/abc?t=1.1');
  expect(to.recording('abc', -1)).toBe('/recordings/abc?t=0');
  expect(to.recording('abc')).toBe('/recordings/abc');
  expect(to.recording('abc', 2, { find: 'a&b' })).toBe('/recordings/abc?t=2&find=a%26b');
  expect(to.search({ q: 'no such file' })).toBe('/search?q=no+such+file');
  expect(to.watch('n', 's', 'peer')).toBe('/watch/n/s?as=peer');
});
