// A make-believe recording.

const ID = '01d1d430-bbbb-4bbb-8bbb-00000000000';

export function recordings(now: number) {
  const one = (number: number, more: object) => ({
    id: `${ID}${number}`,
    user: 'alice',
    login: 'root',
    node: 'web-01',
    kind: 'shell',
    client: '192.0.2.7',
    started: now - number * 5_400_000,
    length_ms: 754_000,
    bytes: 184_000,
    phase: 'stored',
    ending: 'exit 0',
    gaps: 0,
    verification: 'complete',
    tally: { commands: 41, files: 212 },
    ...more,
  });
  return [
    one(0, { phase: 'live', ending: null, verification: null, started: now - 754_000 }),
    one(1, { tally: { commands: 12, files: 37, people: ['bob'] } }),
    one(2, { user: 'carol', node: 'db-01.example.org', login: 'postgres', kind: 'exec', command: 'pg_dump --jobs 4 shop | gzip > /var/backups/shop.sql.gz', length_ms: 92_000, bytes: 1_200 }),
    one(3, { user: 'bob', node: 'web-02', login: 'deploy', length_ms: 36_060_000, bytes: 52_000_000, tally: { commands: 18_204, files: 10_000, more_files: true, people: ['alice', 'guest:Zoe', 'carol'] } }),
    one(4, { user: 'erin', node: 'web-02', kind: 'subsystem', name: 'sftp', length_ms: 4_000, bytes: 812, tally: { commands: null, files: 3 } }),
    one(5, { user: 'dave', node: 'build-01', gaps: 1, ending: 'the recorder’s process died', verification: 'unfinished', tally: null }),
    one(6, { user: 'mallory', node: 'bastion', login: 'mallory', verification: 'broken', ending: 'disconnected', length_ms: 12_000, tally: { commands: null, files: null } }),
    one(7, { user: 'bob', phase: 'interrupted', node: 'web-03', ending: null, verification: null }),
    one(8, { user: 'alice', kind: 'connection', ending: 'disconnected', length_ms: 3_600_000, tally: { commands: null, files: null } }),
    one(9, { user: 'carol', node: 'staging-01', login: 'carol', kind: 'exec', command: 'make test', length_ms: 61_000 }),
  ];
}

const P = '\x1b[1;32mroot@web-01\x1b[0m:\x1b[1;34m/srv/shop\x1b[0m# ';
type Step = [at: number, text: string];
const STEPS: Step[] = [];
let clock = 800;
const type = (command: string, output: string, pause = 4_000) => {
  for (const key of command) STEPS.push([(clock += 90), key]);
  STEPS.push([(clock += 250), `\r\n${output}`]);
  STEPS.push([(clock += 120), P]);
  clock += pause;
};
STEPS.push([300, `\x1b[2J\x1b[HLast login: Tue Nov 24 13:58:02 2026 from 192.0.2.7\r\n${P}`]);
type('systemctl status shop', '\x1b[1;31m●\x1b[0m shop.service - The shop\r\n     Active: \x1b[1;31mfailed\x1b[0m (Result: exit-code)\r\n');
type('journalctl -u shop -n 5', 'Nov 24 14:03:10 web-01 serve[4123]: listening on :8080\r\nNov 24 14:03:11 web-01 serve[4123]: \x1b[31mfatal: could not open /srv/shop/cursed.toml: permission denied\x1b[0m\r\nNov 24 14:03:11 web-01 systemd[1]: shop.service: Failed with result exit-code.\r\n', 42_000);
type('ls -l cursed.toml', '-rw------- 1 nobody nogroup 412 Nov 24 14:01 cursed.toml\r\n', 9_000);
type('chown shop: cursed.toml && systemctl restart shop', '', 120_000);
type('curl -sI localhost:8080 | head -1', 'HTTP/1.1 \x1b[1;32m200 OK\x1b[0m\r\n', 210_000);
for (let at = 0; at < 220; at += 1) STEPS.push([(clock += 400), `\x1b[2K\rdeploying \x1b[36m${'█'.repeat(at / 5)}${'░'.repeat(44 - Math.floor(at / 5))}\x1b[0m ${Math.round(at / 2.2)} %`]);
type('', 'done\r\n', 180_000);
type('exit', 'logout\r\n', 500);
const LENGTH = clock;

export function film(facts: object | undefined) {
  const size = (facts as { kind?: string }).kind === 'subsystem' || (facts as { kind?: string }).kind === 'connection' ? null : [110, 30];
  const bucket_ms = Math.ceil(LENGTH / 600);
  const bytes = new Array<number>(600).fill(0);
  for (const [at, text] of STEPS) bytes[Math.min(599, Math.floor(at / bucket_ms))]! += text.length;
  const mark = (at: number, kind: string, text: string) => ({ at, seq: at, kind, text });
  return {
    facts,
    size,
    largest: size,
    length_ms: LENGTH,
    seq: 999,
    live: (facts as { phase?: string }).phase === 'live',
    activity: { bucket_ms, bytes, keys: null },
    idle: { at_least_ms: 5_000, stretches: [[16_000, 50_000], [75_000, 190_000], [200_000, 400_000]] },
    marks: [
      mark(0, 'people', 'alice came as root from 192.0.2.7'),
      mark(2_900, 'command', 'systemctl status shop'),
      mark(9_200, 'command', 'journalctl -u shop -n 5'),
      mark(31_000, 'people', 'bob joined as peer from 192.0.2.31 (person 1)'),
      mark(36_000, 'said', 'person 1 said: the file belongs to nobody'),
      mark(55_000, 'command', 'ls -l cursed.toml'),
      mark(71_000, 'command', 'chown shop: cursed.toml'),
      mark(71_400, 'file', 'changed owner of /srv/shop/cursed.toml'),
      mark(72_000, 'command', 'systemctl restart shop'),
      mark(194_000, 'command', 'curl -sI localhost:8080'),
      mark(302_000, 'gap', 'GAP: 4.1 kB missing here, more happened than was taken'),
      mark(410_000, 'size', 'the screen is 110x30'),
      mark(430_000, 'file', 'uploaded /srv/shop/release.tar.gz, 4.2 MB'),
      mark(LENGTH - 200, 'end', 'ended with status 0'),
    ],
    folded: {},
    chapters: [{ at: 400_000, until: 490_000, seq: 1, text: './deploy.sh --all' }],
    typing: { people: ['alice', 'bob'], bursts: [[800, 2_700, 0], [6_900, 9_100, 0], [52_000, 54_000, 1], [66_000, 71_000, 0], [70_000, 72_000, 1], [190_000, 194_000, 1]] },
    damage: null,
  };
}

export function reelLines(at?: number, after?: number): unknown[] {
  const all = STEPS.map(([when, text], seq) => [when, seq + 1, 'o', text]);
  const from = after ?? STEPS.findIndex(([when]) => when > (at ?? 0));
  const begin = from < 0 ? STEPS.length : from;
  const cues = all.slice(begin, begin + 120);
  const end = begin + cues.length;
  const more = end < all.length;
  const picture = { picture: { at: at ?? 0, seq: begin, cols: 110, rows: 30, dump: STEPS.slice(0, begin).map(([, text]) => text).join('') } };
  return [
    ...(at === undefined ? [] : [picture]),
    ...cues,
    { end: { after: String(end), at: more ? (STEPS[end - 1]?.[0] ?? 0) : LENGTH, seq: end, more, live: false, length_ms: LENGTH } },
  ];
}

const end = { end: { after: '999', at: LENGTH, seq: 999, more: false, live: false, length_ms: LENGTH } };

const plain = (text: string) => text.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, '');

function textLines(): { at: number; text: string }[] {
  const found: { at: number; text: string }[] = [];
  let line = '';
  let when = 0;
  for (const [at, text] of STEPS) {
    for (const part of plain(text).split(/(\r\n)/)) {
      if (part === '\r\n') {
        if (line.trim()) found.push({ at: when, text: line });
        line = '';
      } else if (part) {
        line = part.includes('\r') ? part.slice(part.lastIndexOf('\r') + 1) : line + part;
        when = at;
      }
    }
  }
  return found;
}

export const transcriptLines = () => {
  const lines = textLines().map(({ at, text }, seq) => ({ line: { at, seq, text } }));
  const before = lines.findIndex(({ line }) => line.at > 420_000);
  return [...lines.slice(0, before), { fullscreen: { at: 420_000, until: 430_000 } }, ...lines.slice(before), end];
};

/** Of the tenth there are very many. */
const MANY = 30_000;

export function eventLines(id: string, after = 0, most = 5_000): unknown[] {
  if (id === `${ID}9`) return manyEvents(after, most);
  let seq = 0;
  const event = (at: number, cls: string, kind: string, text: string, more = {}) => ({ event: { at, seq: (seq += 1), class: cls, kind, text, ...more } });
  return [
    event(0, 'people', 'joined', 'alice came as root from 192.0.2.7'),
    event(100, 'commands', 'ran', '-bash', { process: 4100, parent: 4099 }),
    event(2_900, 'commands', 'ran', 'systemctl status shop', { process: 4201, parent: 4100 }),
    event(2_950, 'network', 'socket', 'connect /run/systemd/private', { process: 4201, parent: 4100 }),
    event(3_000, 'files', 'opened', 'opened /etc/systemd/system/shop.service', { process: 4201, parent: 4100 }),
    event(3_100, 'commands', 'ended', 'ended with 3 after 0.240 s', { process: 4201, parent: 4100, failed: true }),
    event(9_200, 'commands', 'ran', 'journalctl -u shop -n 5', { process: 4210, parent: 4100 }),
    event(9_260, 'files', 'opened', 'opened /var/log/journal/5f2a/system.journal', { process: 4210, parent: 4100, times: 4 }),
    event(9_900, 'commands', 'ended', 'ended with 0 after 0.710 s', { process: 4210, parent: 4100 }),
    event(31_000, 'people', 'joined', 'bob joined as peer from 192.0.2.31'),
    event(55_000, 'commands', 'ran', 'ls -l cursed.toml', { process: 4220, parent: 4100 }),
    event(55_020, 'commands', 'ended', 'ended with 0 after 0.004 s', { process: 4220, parent: 4100 }),
    event(71_000, 'commands', 'ran', 'chown shop: cursed.toml', { process: 4231, parent: 4100 }),
    event(71_400, 'files', 'changed', 'fchownat /srv/shop/cursed.toml', { process: 4231, parent: 4100 }),
    event(72_000, 'commands', 'ran', 'systemctl restart shop', { process: 4232, parent: 4100 }),
    event(194_000, 'commands', 'ran', 'curl -sI localhost:8080', { process: 4240, parent: 4100 }),
    event(194_100, 'network', 'tcp', 'connected to 127.0.0.1:8080 from 127.0.0.1:51544', { process: 4240, parent: 4100 }),
    event(194_120, 'files', 'opened', 'opened /etc/shadow: permission denied', { process: 4240, parent: 4100, failed: true }),
    event(302_000, 'marks', 'gap', 'GAP: 4.1 kB missing here, more happened than was taken', { failed: true }),
    event(400_000, 'commands', 'ran', './deploy.sh --all', { process: 4300, parent: 4100 }),
    event(401_000, 'commands', 'ran', 'tar xzf release.tar.gz', { process: 4301, parent: 4300 }),
    event(402_000, 'commands', 'ran', 'rsync -a build/ web-02:/srv/shop', { process: 4302, parent: 4300 }),
    event(402_100, 'network', 'tcp', 'connected to 10.0.0.12:22 from 10.0.0.11:40112', { process: 4302, parent: 4300 }),
    event(430_000, 'transfers', 'closed', 'uploaded /srv/shop/release.tar.gz, 4.2 MB'),
    end,
  ];
}

function manyEvents(after: number, most: number): unknown[] {
  const until = Math.min(MANY, after + most);
  const ran = (process: number, parent: number, text: string) => ({ class: 'commands', kind: 'ran', text, process, parent });
  const told = Array.from({ length: until - after }, (_, nth) => {
    const seq = after + nth;
    const shell = 5_000 + Math.floor(seq / 300);
    const what = seq === 0 ? ran(4_100, 1, '-bash') : seq % 300 ? { class: 'files', kind: 'opened', text: `opened /srv/shop/src/part-${seq}.c`, process: shell, parent: 4_100 } : ran(shell, 4_100, `cc -c part-${seq}.c`);
    return { event: { at: Math.floor((seq * LENGTH) / MANY), seq: seq + 1, ...what } };
  });
  return [...told, { end: { ...end.end, after: String(until), more: until < MANY } }];
}

export function searchLines(wanted: string): unknown[] {
  const low = wanted.toLowerCase();
  const hits = textLines().flatMap(({ at, text }, row) => {
    const from = text.toLowerCase().indexOf(low);
    return from < 0 ? [] : [{ hit: { at, seq: row, row, text, from, to: from + wanted.length } }];
  });
  return [...hits, { reached: { at: LENGTH } }, end];
}

/** Search through all recordings, for `fatal`, `slow`, `damaged`, `cut` and what is nowhere. */
export function searchedLines(wanted: string, now: number): unknown[] {
  const all = recordings(now);
  const of = all.length;
  const texts: [number, number, string, string | undefined, string, boolean?][] = [
    [0, 61_000, 'screen', undefined, 'Nov 24 16:40:02 web-01 serve[9120]: fatal: could not open /srv/shop/cursed.toml: permission denied'],
    [1, 10_070, 'screen', undefined, 'Nov 24 14:03:11 web-01 serve[4123]: fatal: could not open /srv/shop/cursed.toml: permission denied'],
    [1, 71_000, 'commands', 'ran', "sh -c 'grep -n fatal /var/log/shop.log | tail -40 && chown shop: cursed.toml'"],
    [1, 71_400, 'files', 'set owner of', '/srv/shop/fatal-cursed.toml'],
    [1, 72_000, 'files', 'removed', '/srv/shop/fatal.pid', true],
    [1, 194_100, 'connections', 'connected to', 'fatal-errors.example.org:443'],
    [3, 3_723_000, 'screen', undefined, `${'a long line '.repeat(12)}with fatal in the midst of it ${'and much behind it '.repeat(9)}`],
    [9, 0, 'commands', 'asked for', 'make test-fatal'],
  ];
  const low = wanted.toLowerCase();
  const found = /^(fatal|damaged|cut|slow)$/.test(low) ? texts.map((one) => one) : texts.filter((one) => one[4].toLowerCase().includes(low));
  const lines: unknown[] = [];
  let last = -1;
  found.forEach(([nth, at, what, did, text, failed], seq) => {
    const facts = all[nth];
    if (!facts) return;
    if (nth !== last) lines.push({ recording: facts });
    last = nth;
    const from = Math.max(0, text.toLowerCase().indexOf('fatal'));
    lines.push({ hit: { id: facts.id, at, seq: seq + 1, what, did, failed, text, from, to: from + 5 } });
    if (nth === 3) lines.push({ more: { id: facts.id, seq, at } });
  });
  if (low === 'damaged') lines.push({ unread: { id: all[6]?.id, user: 'mallory', node: 'bastion', started: now - 6 * 5_400_000, at: 4_000, why: 'record 12 at byte 40960: its hash does not fit' } });
  lines.push({ reached: { looked: 4, of, started: now - 4 * 5_400_000 } });
  if (low === 'cut') return lines;
  if (low === 'slow') return lines;
  return [...lines, { end: { more: low === 'fatal', after: low === 'fatal' ? 'x' : undefined, reached: { looked: of, of, started: null as number | null }, hits: found.length, unread: 0 } }];
}
