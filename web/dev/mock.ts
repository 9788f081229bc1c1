// A make-believe server, for work on the pages alone: `npm run dev`, and `npm run shots` without a real one.
// Nothing of this is in the bundle.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Plugin, PreviewServer, ViteDevServer } from 'vite';
import { WebSocketServer } from 'ws';
import { film, reelLines, recordings, transcriptLines, eventLines, searchedLines, searchLines } from './film.ts';

const NOW = Date.now();
const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

/** The rules that the real server sends; a page that breaks them breaks here, too. */
const CSP =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

const me = {
  user: 'alice',
  cluster: 'example',
  roles: ['admin', 'access'],
  session: 1,
  pin: '0f'.repeat(32),
  expires: NOW + 8 * HOUR,
  admin: ['users', 'roles', 'nodes', 'audit', 'locks'],
  share: ['observer', 'peer', 'moderator'],
  guests: ['observer'],
  may_play: true,
  may_export: true,
  factors: ['totp'],
  must_enrol: false,
};

const node = (name: string, env: string, team: string, logins: string[], seen = 4_000, more = {}) => ({
  name,
  labels: { env, team, os: 'debian-12' },
  last_seen: Date.now() - seen,
  version: '0.5.0',
  logins,
  ...more,
});

const nodes = () => [
  node('web-01', 'prod', 'web', ['alice', 'root', 'deploy']),
  node('web-02', 'prod', 'web', ['alice', 'root', 'deploy']),
  node('web-03', 'prod', 'web', ['alice', 'root', 'deploy'], 26 * HOUR),
  node('db-01.example.org', 'prod', 'data', ['alice', 'postgres']),
  node('db-02.example.org', 'prod', 'data', ['alice', 'postgres'], 3_000, { waits: 'auth’s disk is full' }),
  node('build-01', 'ci', 'tools', ['alice', 'root', 'builder', 'runner', 'docker', 'cache']),
  node('staging-01', 'staging', 'web', ['alice', 'root']),
  node('bastion', 'prod', 'ops', ['alice']),
  node('backup', 'prod', 'ops', []),
];

const person = (party: number, user: string, seat?: string, types = true) => ({
  party,
  user,
  ...(seat && { seat }),
  since: NOW - 7 * MIN,
  types,
});

const sessions = [
  { node: 'web-01', id: '01d1d430-aaaa-4aaa-8aaa-000000000001', user: 'alice', roles: ['admin'], login: 'root', kind: 'shell', since: NOW - 42 * MIN, client: '192.0.2.7', runs: 'journalctl', state: 'running', joinable: true, people: [person(0, 'alice'), person(1, 'bob', 'peer')], may_join: ['observer', 'peer'] },
  { node: 'db-01.example.org', id: '01d1d430-aaaa-4aaa-8aaa-000000000002', user: 'carol', roles: ['dev'], login: 'postgres', kind: 'exec', command: 'pg_dump --jobs 4 shop', since: NOW - 3 * HOUR, client: '192.0.2.9', runs: 'pg_dump', state: 'running', joinable: true, people: [person(0, 'carol')], may_join: ['observer', 'moderator'] },
  { node: 'build-01', id: '01d1d430-aaaa-4aaa-8aaa-000000000003', user: 'dave', roles: ['dev'], login: 'root', kind: 'shell', since: NOW - 2 * MIN, client: '192.0.2.31', runs: null, state: 'waiting', joinable: true, people: [person(0, 'dave')], may_join: ['moderator'] },
  { node: 'web-02', id: '01d1d430-aaaa-4aaa-8aaa-000000000004', user: 'erin', roles: ['dev'], login: 'deploy', kind: 'shell', since: NOW - 12 * MIN, client: '192.0.2.44', runs: 'vim', state: 'frozen', joinable: true, people: [person(0, 'erin'), person(1, 'alice', 'moderator', false), person(2, 'guest:Bob', 'observer', false)], may_join: ['observer', 'moderator'] },
  { node: 'web-02', id: '01d1d430-aaaa-4aaa-8aaa-000000000005', user: 'alice', roles: ['admin'], login: 'alice', kind: 'subsystem', name: 'sftp', since: NOW - 30_000, client: '192.0.2.7', runs: null, state: 'running', joinable: false, people: [person(0, 'alice')], may_join: [] },
];

const audit = (() => {
  const S = sessions[0]?.id ?? '';
  const all: object[] = [
    { event: 'auth.start', version: '0.5.0', code: 'S0001I' },
    { event: 'user.sign_in', user: 'alice', address: '192.0.2.7', method: 'password, totp', code: 'S1000I' },
    { event: 'certificate.issue', user: 'alice', kind: 'user', serial: 41, principals: ['alice', 'root'], expires: NOW + 8 * HOUR, code: 'S2000I' },
    { event: 'connection.open', user: 'alice', node: 'web-01', login: 'root', serial: 41, version: 'SSH-2.0-OpenSSH_9.2', code: 'S3000I' },
    { event: 'session.start', user: 'alice', node: 'web-01', login: 'root', session: S, kind: 'shell', size: '120x36', recording: 'spool', code: 'S3010I' },
    { event: 'seat.taken', user: 'bob', node: 'web-01', session: S, party: 1, seat: 'peer', owner: 'alice', code: 'S3030I' },
    { event: 'share.create', user: 'alice', node: 'web-01', session: S, link: 7, seat: 'observer', guests: true, once: false, expires: NOW + HOUR, code: 'S3050I' },
    { event: 'access.denied', user: 'mallory', node: 'db-01.example.org', action: 'log in as postgres', why: 'no role allows the login postgres on nodes with team=data', code: 'S4000W' },
    { event: 'user.sign_in_failed', user: 'mallory', address: '203.0.113.66', why: 'the password is wrong', code: 'S1000W' },
    { event: 'session.exec', user: 'carol', node: 'db-01.example.org', login: 'postgres', session: sessions[1]?.id, command: 'pg_dump --jobs 4 shop', code: 'S3011I' },
    { event: 'recording.view', user: 'alice', session: sessions[1]?.id, how: 'play', code: 'S5001I' },
    { event: 'session.gap', node: 'web-03', session: sessions[3]?.id, cause: 'crash', bytes: 4096, code: 'S3013W' },
    { event: 'lock.create', user: 'alice', lock: 3, target: 'user mallory', reason: 'lost laptop', code: 'S1020I' },
    { event: 'session.end', user: 'erin', node: 'web-02', login: 'deploy', session: sessions[3]?.id, status: 0, ms: 4 * MIN, output: 91_234, input: 420, code: 'S3012I' },
  ];
  return Array.from({ length: 90 }, (_, at) => {
    const { code, ...event } = all[at % all.length] as { code: string };
    return { number: at + 1, event: JSON.stringify({ time: NOW - (90 - at) * 97_000, ...event }), code, hash: (at * 7919).toString(16).padStart(8, '0').repeat(8) };
  });
})();

const roles = [
  { name: 'admin', description: 'Everything', allow: { logins: ['root', '{logins}'], nodes: { '*': ['*'] }, forward: ['agent', 'local', 'remote', 'x11'], recordings: { list: 'all', play: 'all', export: 'all', remove: 'all' }, admin: ['users', 'roles', 'nodes', 'audit', 'locks'], share: ['observer', 'peer'] }, deny: {}, options: {} },
  { name: 'access', description: 'Own account everywhere', allow: { logins: ['{user}'], nodes: { '*': ['*'] }, recordings: { list: 'own', play: 'own' } }, deny: {}, options: { record: 'spool' } },
  { name: 'prod-root', description: 'Root on production, with a second pair of eyes', allow: { logins: ['root'], nodes: { env: ['prod'] } }, deny: { logins: ['postgres'] }, options: { record: 'strict', four_eyes: [{ name: 'production', roles: ['ops'] }] } },
];

type Body = Record<string, unknown>;
const CALLS: Record<string, (body: Body) => unknown> = {
  'web/door': () => ({ cluster: 'example' }),
  cluster: () => ({ name: 'example', host_authority: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEexampleEXAMPLEexampleEXAMPLEexample00'], seal_keys: ['scry-seal:mVb2nq0mM4m0a2Zk3gG3P4V0yXk0l1b4n7QkT2oO1dI='], ledger_keys: ['scry-ledger:Zt9sYw0hE5h0wTq3m1uJ8cJ5n2rQ7vB6x4LkD0aP3fE='] }),
  'web/me': () => me,
  'web/sign-in': ({ user, password }) =>
    password === 'wrong' ? fail(401, 'unauthenticated', 'the user or the password is wrong') : user === 'two' ? { wants: { ticket: 't', factors: ['totp'] } } : { signed_in: me },
  'web/second': () => me,
  'arrival/read': ({ code }) =>
    code === 'gone-gone'
      ? fail(404, 'not_found', 'no terminal waits with this code: it was signed in, turned away, or has waited too long; begin anew in the terminal')
      : { code, user: 'alice', cluster: 'example', machine: 'build-07.example.org', address: code === 'near-near' ? '192.0.2.7' : '198.51.100.23', near: code === 'near-near', key: 'SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8', since: NOW - 20_000, expires: NOW + 280_000 },
  'arrival/let-in': ({ by }) =>
    (by as { password?: string }).password === 'wrong' ? fail(401, 'unauthenticated', 'the user name or the password is wrong') : (by as { password?: string }).password === 'two' ? { wants: { ticket: 't', factors: ['totp'] } } : { answer: '7k2m-qx9d' },
  'arrival/turn-away': () => ({}),
  'web/sign-out': () => ({}),
  'web/sessions/list': () => [
    { id: 1, created: NOW - 2 * HOUR, last_seen: NOW, expires: NOW + DAY, address: '192.0.2.7', browser: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36', factors: ['totp'], here: true },
    { id: 2, created: NOW - 3 * DAY, last_seen: NOW - 5 * HOUR, expires: NOW + DAY, address: '198.51.100.4', browser: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1', factors: [], here: false },
  ],
  'web/sessions/end': () => ({}),
  'factors/list': () => ({ factors: [{ id: 1, kind: 'totp', name: 'Authenticator app', created: NOW - 40 * DAY, last_used: NOW - 2 * HOUR }, { id: 2, kind: 'passkey', name: 'Laptop', created: NOW - 2 * DAY, last_used: null }], recovery_left: 8, demanded: false }),
  'factors/totp/begin': () => ({ ticket: 't', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', uri: 'otpauth://totp/scry%20example:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=scry%20example' }),
  'factors/totp/finish': () => ({ factor: {}, recovery: ['2f6k-9x1m', '7qp0-3n8d', 'c4tw-5h2z', '1gbv-6y0r', 'm8ej-4s7k', 'x3da-2p9q', '0zkn-8f5t', 'r6hc-1w4b', 'y9sv-7d3g', '5jxq-0m2e'] }),
  'factors/recovery': () => ({ recovery: ['2f6k-9x1m', '7qp0-3n8d'] }),
  invitation: ({ code }) => (code === 'used' ? fail(404, 'not_found', 'this invitation was taken up already, or has expired') : { cluster: 'example', user: 'bob', expires: NOW + 23 * HOUR }),
  'sign-up': () => ({}),
  'nodes/list': nodes,
  'nodes/invite': () => ({ token: 'node-7h2k9m4x1c8q5w3z6r0t2y4p', pin: '0f'.repeat(32), expires: NOW + HOUR }),
  'sessions/list': () => sessions,
  'share/create': (body) => ({ ...body, id: 9, code: 'share-0123456789abcdefghjkmnpqrs', owner: 'alice', by: 'alice', created: NOW, expires: NOW + Number(body.life_ms ?? HOUR), used: 0, state: 'open' }),
  'share/list': () => [
    { id: 7, node: 'web-01', session: sessions[0]?.id, owner: 'alice', seat: 'observer', by: 'alice', guests: true, once: false, created: NOW - HOUR, expires: NOW + HOUR, used: 2, state: 'open' },
    { id: 6, node: 'web-01', session: sessions[0]?.id, owner: 'alice', seat: 'peer', by: 'alice', to: 'bob', guests: false, once: true, created: NOW - HOUR, expires: NOW + HOUR, used: 1, state: 'used' },
  ],
  'share/read': () => ({ link: 7, node: 'web-01', session: sessions[0]?.id, owner: 'carol', seat: 'peer', expires: NOW + 50 * MIN }),
  'share/look': () => ({ cluster: 'example', host_authority: [], shared: { link: 7, node: 'web-01', session: sessions[0]?.id, owner: 'carol', seat: 'observer', expires: NOW + 50 * MIN } }),
  'recordings/list': ({ live, only, after }) => recordings(NOW).filter((one) => !after && (!live || one.phase === 'live') && (only !== 'sessions' || one.kind !== 'connection') && (only !== 'connections' || one.kind === 'connection')),
  'recordings/standing': () => ({ whole: 104_212, gaps: 1, partly: 1, damaged: 1, waiting: 2, interrupted: 1, live: 5, amiss: recordings(NOW).filter((one) => one.gaps || one.phase === 'interrupted' || (one.phase === 'stored' && one.verification !== 'complete')), more: false }),
  'recordings/view': ({ id }) => ({ ticket: 'ticket', facts: recordings(NOW).find((one) => one.id === id) ?? recordings(NOW)[1] }),
  'recordings/previews': ({ ids }) =>
    (ids as string[]).map((id, at) => ({ id, at: 1, live: false, cols: 100, rows: 28, lines: previewLines(at) })),
  'recordings/comments/list': () => [
    { number: 1, at: 66_000, author: 'bob', mine: false, made: NOW - HOUR, text: 'This is where it was cursed: the file belongs to nobody since the restore.' },
    { number: 2, at: 302_000, author: 'alice', mine: true, made: NOW - MIN, text: 'The disk was full for a moment.' },
  ],
  'recordings/comments/add': (body) => ({ ...body, number: 3, author: 'alice', mine: true, made: Date.now() }),
  'audit/list': ({ limit, newest_first, after, before, until, session }) => {
    let found = audit.filter((row) => (!after || row.number > Number(after)) && (!before || row.number < Number(before)) && (!until || JSON.parse(row.event).time < Number(until)) && (!session || JSON.parse(row.event).session === session));
    if (newest_first) found = found.toReversed();
    return found.slice(0, Number(limit) || 100);
  },
  'users/list': () => [
    { user: 'alice', roles: ['admin', 'access'], logins: ['alice'], signed_up: true, last_sign_in: NOW - 2 * HOUR },
    { user: 'bob', roles: ['access'], logins: ['bob'], signed_up: true, last_sign_in: NOW - 3 * DAY },
    { user: 'carol', roles: ['access', 'prod-root'], logins: ['carol', 'postgres'], signed_up: true, last_sign_in: NOW - 4 * HOUR },
    { user: 'dave', roles: ['access'], logins: [], signed_up: false, last_sign_in: null },
  ],
  'users/add': () => ({ code: '7h2k9m4x1c8q5w3z6r0t2y4p', pin: '0f'.repeat(32), expires: NOW + DAY }),
  'roles/list': () => roles,
  'roles/set': () => fail(400, 'malformed', 'unknown field `login`, expected one of `logins`, `nodes`, `forward`'),
  'locks/list': () => [{ id: 3, target: { user: 'mallory' }, reason: 'lost laptop', creator: 'alice', created: NOW - HOUR }, { id: 4, target: { node: 'web-03' }, reason: '', creator: 'alice', created: NOW - MIN, expires: NOW + 8 * HOUR }],
  'access/explain': ({ user }) =>
    user === 'mallory'
      ? { allowed: false, because: 'no role of mallory allows the login postgres', steps: [{ rule: 'lock 3', says: 'deny', why: 'the user mallory is locked' }], terms: [] }
      : { allowed: true, because: 'role admin allows the login root on every node', steps: [{ rule: 'role access: allow.logins', says: 'nothing', why: '{user} is alice, and root was asked for' }, { rule: 'role admin: allow.logins', says: 'allow', why: 'root is in it' }, { rule: 'role admin: allow.nodes', says: 'allow', why: '* accepts every node' }], terms: [['recording', 'strict'], ['exec streams kept whole', '16777216 bytes'], ['what is typed', 'who and when'], ['files by sftp and scp', 'what was done, and hashes of the contents'], ['longest session', '480 minutes'], ['four eyes: production', '1 of the roles ops as moderator; each file is approved']] },
};

const previewLines = (at: number) => [
  [{ text: 'root@web-01', fg: 10, bold: true }, { text: ':' }, { text: '/srv/shop', fg: 12 }, { text: `# journalctl -u shop -n ${at}` }],
  ...Array.from({ length: 12 + at }, (_, row) => [{ text: `Nov 24 14:03:${10 + row} web-01 serve[4123]: ` }, row % 5 ? { text: 'listening on :8080' } : { text: 'fatal: permission denied', fg: 9 }]),
  [{ text: '  INSERT  ', inverse: true }, { text: ' deploy.sh', fg: [120, 160, 220] }],
];

class Refused {
  constructor(
    readonly status: number,
    readonly body: object,
  ) {}
}
function fail(status: number, fault: string, message: string): never {
  throw new Refused(status, { fault, message });
}

const send = (response: ServerResponse, status: number, body: unknown) => {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://x');
  const path = url.pathname.slice(4);
  const whole = await new Promise<string>((done) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => done(text));
  });
  const film_path = /^recordings\/([^/]+)\/(film|reel|transcript|events|search)$/.exec(path);
  if (film_path && request.method === 'GET') {
    const [, id = '', what] = film_path;
    const number = (name: string) => (url.searchParams.has(name) ? Number(url.searchParams.get(name)) : undefined);
    const facts = recordings(NOW).find((one) => one.id === id) ?? recordings(NOW)[1];
    const found =
      what === 'film'
        ? [film(facts)]
        : what === 'reel'
          ? reelLines(number('at'), number('after'))
          : what === 'transcript'
            ? transcriptLines()
            : what === 'events'
              ? eventLines(film_path[1] ?? '', number('after'), number('most'))
              : searchLines(url.searchParams.get('for') ?? '');
    response.setHeader('content-type', 'application/x-ndjson');
    response.end(found.map((line) => JSON.stringify(line)).join('\n') + '\n');
    return;
  }
  if (path === 'search') {
    const wanted = url.searchParams.get('for') ?? '';
    if (request.headers.cookie?.includes('broken')) return send(response, 503, { fault: 'unavailable', message: 'auth is not reached; it is tried again' });
    response.setHeader('content-type', 'application/x-ndjson');
    // The rest of an answer is nothing; a slow one does not end.
    const found = url.searchParams.has('after') ? searchedLines('nothing', NOW) : searchedLines(wanted, NOW);
    response.write(found.map((line) => JSON.stringify(line)).join('\n') + '\n');
    if (wanted !== 'slow') response.end();
    return;
  }
  if (path === 'web/folder') {
    const at = url.searchParams.get('path') || '/home/alice';
    return send(response, 200, {
      path: at,
      entries: [
        { name: 'releases', kind: 'folder', bytes: 4096, changed: NOW - 3 * DAY },
        { name: 'logs', kind: 'folder', bytes: 4096, changed: NOW - HOUR },
        { name: 'deploy.sh', kind: 'file', bytes: 2_140, changed: NOW - 9 * DAY },
        { name: 'dump.sql.gz', kind: 'file', bytes: 48_200_140, changed: NOW - 2 * HOUR },
        { name: 'current', kind: 'link', bytes: 12, changed: NOW - 3 * DAY },
      ],
    });
  }
  const call = CALLS[path];
  if (!call) return send(response, 404, { fault: 'not_found', message: `there is no ${path}` });
  if (path === 'web/me' && request.headers.cookie?.includes('nobody')) return send(response, 401, { fault: 'unauthenticated', message: 'sign in first' });
  if (request.headers.cookie?.includes('empty') && path.endsWith('/list') && !path.startsWith('factors')) return send(response, 200, []);
  if (request.headers.cookie?.includes('broken') && path !== 'web/me') return send(response, 503, { fault: 'unavailable', message: 'auth is not reached; it is tried again' });
  try {
    send(response, 200, call(whole ? (JSON.parse(whole) as Body) : {}));
  } catch (thrown) {
    if (thrown instanceof Refused) send(response, thrown.status, thrown.body);
    else throw thrown;
  }
}

const PROMPT = '\x1b[1;32malice@web-01\x1b[0m:\x1b[1;34m~\x1b[0m$ ';

function terminals(server: Server): void {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'scry.terminal.1' });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url?.startsWith('/v1/web/terminal')) return;
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const out = (text: string) => ws.send(Buffer.from(text));
      const say = (message: object) => ws.send(JSON.stringify(message));
      let line = '';
      const company = { told: 'company', state: 'running', people: [person(0, 'alice'), person(1, 'bob', 'peer'), person(2, 'guest:Zoe', 'observer', false)] };
      ws.on('message', (data, binary) => {
        if (!binary) {
          const message = JSON.parse(String(data)) as Record<string, Record<string, unknown>>;
          const first = message.open ?? message.attach ?? message.join ?? message.link;
          if (first) {
            const seat = message.join ? (message.join.seat ?? 'observer') : message.link ? 'peer' : undefined;
            say({ opened: { node: first.node ?? 'web-01', session: sessions[0]?.id, login: first.login ?? 'root', user: 'alice', ...(seat ? { seat, cols: 100, rows: 30 } : { cols: first.cols, rows: first.rows }) } });
            say({ told: seat ? { ...company, people: [person(0, 'carol'), person(1, 'bob', 'peer'), person(2, 'alice', String(seat), seat === 'peer')] } : company });
            say({ told: { told: 'happened', what: 'bob joined as peer' } });
            say({ told: { told: 'said', party: 1, user: 'bob', text: 'I see it. Line 42 of the unit file.' } });
            if (seat) out('\x1b[8;30;100t');
            out(`Linux web-01 6.1.0-28-amd64 #1 SMP Debian\r\n\r\n${PROMPT}systemctl status shop\r\n\x1b[1;32m●\x1b[0m shop.service - The shop\r\n     Loaded: loaded (/etc/systemd/system/shop.service; \x1b[1;32menabled\x1b[0m)\r\n     Active: \x1b[1;31mfailed\x1b[0m (Result: exit-code) since Tue 14:03:11 UTC\r\n    Process: 4123 ExecStart=/srv/shop/bin/serve \x1b[1;31m(code=exited, status=1)\x1b[0m\r\n\r\nsee https://wiki.example.org/shop/runbook for what to do\r\n${PROMPT}`);
          } else if (message.ask) {
            say({ told: { told: 'done' } });
            if (message.ask.ask === 'say') say({ told: { told: 'said', party: 0, user: 'alice', text: message.ask.text } });
          }
          return;
        }
        for (const key of String(data)) {
          if (key === '\r') {
            if (line === 'drop') ws.terminate();
            else if (line === 'exit') say({ closed: { why: 'the program ended with status 0', again: false } });
            else out(`\r\n${line ? `${line}: command not found\r\n` : ''}${PROMPT}`);
            line = '';
          } else if (key === '\x7f') {
            if (line) out('\b \b');
            line = line.slice(0, -1);
          } else {
            line += key;
            out(key);
          }
        }
      });
    });
  });
}

export const mock = (): Plugin => {
  const serve = (server: ViteDevServer | PreviewServer, rules: boolean) => {
    if (server.httpServer) terminals(server.httpServer as Server);
    server.middlewares.use((request, response, next) => {
      if (rules) response.setHeader('content-security-policy', CSP);
      if (request.url?.startsWith('/v1/')) void answer(request, response);
      else next();
    });
  };
  return {
    name: 'scry-mock',
    configureServer: (server) => serve(server, false),
    configurePreviewServer: (server) => serve(server, true),
  };
};
