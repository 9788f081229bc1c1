// Links into a session: as observer and as peer, with an account, at the door, and as a guest, with a browser or with plain ssh.
// What is typed, said and shown, and by whom; none of it ever runs as HTML; and a guest's browser gets at nothing but the session,
// and there at nothing but what an observer may.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import {
  EVIL, EVIL_NAME, above, allSee, audit, calls, expect, folder, hears, isOver, knock, login, node, nothingRan, openTerminal, origin,
  panel, play, say, screen, scry, scryJson, setRole, share, shows, signIn, signUp, told, type, until, user, ways, withPerson, wouldRun,
} from './kit.mjs';

/** What an observer asks for in vain, as the ledger calls it. */
const DENIED = ['take the keyboard back', 'let all type', 'hand over the keyboard', 'show somebody out', 'freeze', 'thaw', 'end a session', 'say whose size counts'];

/** Types a line into a shell on a terminal of somebody's own, as a machine has it that knows nothing of the cluster. */
function inShell(line) {
  const home = `${folder}/guest`;
  mkdirSync(home);
  const env = { ...process.env, TERM: 'xterm-256color', SHELL: '/bin/sh' };
  delete env.SSH_AUTH_SOCK;
  const shell = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], { cwd: home, env });
  const seen = { text: '', over: false };
  for (const stream of [shell.stdout, shell.stderr]) stream.setEncoding('utf8').on('data', (text) => (seen.text += text));
  shell.on('close', () => (seen.over = true));
  const says = async (text) =>
    until(text, () => seen.text.includes(text)).catch((error) => {
      throw new Error(`${error.message}; ssh says:\n${seen.text}`);
    });
  return { type: (text) => shell.stdin.write(text), says, over: () => until('the end of ssh', () => seen.over), seen };
}

/** What a chat program's robot gets that looks at an address somebody was sent. It looks whose certificate that is, too. */
const robot = (address, ...flags) =>
  new Promise((done, failed) => {
    const all = ['--silent', '--show-error', '--include', '--location', '--cacert', `${folder}/authority.pem`, ...flags, address];
    execFile('curl', all, (error, out, said) => (error ? failed(new Error(`curl ${all.join(' ')}: ${said}`)) : done(out)));
  });
const ROBOT = 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)';

await play(async ({ page: owner, another }) => {
  await setRole('host', `[allow]\nshare = ['observer', 'peer']\nguests = ['observer']`);
  await scry('users', 'add', user, '--role', 'admin', '--role', 'host');
  const [alice, bob, zoe] = [await another(), await another(), await another()];
  await wouldRun(zoe, EVIL, EVIL_NAME);
  await Promise.all([signIn(owner), signUp(alice, 'alice', 'access'), signUp(bob, 'bob', 'access')]);
  await openTerminal(owner);

  // Somebody who is signed in comes as a peer.
  const peers = await share(owner, 'peer');
  await alice.goto(peers);
  await alice.getByText(`${user} invites you`).waitFor();
  await alice.getByText('As peer.').waitFor();
  await alice.getByRole('button', { name: 'Join', exact: true }).click();
  await shows(alice, 'scry:');

  // Somebody who is not signs in first, and comes where the link leads.
  const lookers = await share(owner, 'observer', 'bob');
  await bob.context().clearCookies();
  await bob.goto(lookers);
  await bob.getByText('Sign in to see into which one.').waitFor();
  const [plain] = await Promise.all([bob.waitForEvent('popup'), bob.getByRole('link', { name: 'With scry or plain ssh' }).click()]);
  await plain.getByText("scry join 'ADDRESS'").waitFor();
  await plain.close();
  expect(!(await bob.locator('body').innerText()).includes(user), 'nothing is told at the door');
  await bob.getByRole('button', { name: 'Sign in' }).click();
  await knock(bob, 'bob');
  await bob.getByText('As observer.').waitFor();
  await bob.getByRole('button', { name: 'Join', exact: true }).click();
  await shows(bob, 'scry:');

  // Who has no account comes as a guest where the link says so; what they call themselves is words, too.
  const { address: guests, ssh } = await ways(owner, 'observer', 'guests');
  await zoe.goto(guests);
  await zoe.getByLabel('Your name').fill(EVIL_NAME);
  await zoe.getByRole('button', { name: 'Join', exact: true }).click();
  await shows(zoe, 'scry:');
  const all = [owner, alice, bob, zoe];
  const peopleAre = async (count) =>
    until(`${count} in the panel`, async () => (await (await panel(owner)).getByRole('listitem').filter({ hasText: 'since' }).count()) === count);
  await peopleAre(4);

  // All see what is written, and what is no letter, too.
  await type(owner, `clear; printf '\\e]0;${EVIL}\\a\\e[1;31mred\\e[m ${EVIL} 漢字\\n'; seq 3\n`);
  await Promise.all(all.map((page) => shows(page, '漢字')));
  await allSee(all, above);
  await type(alice, 'echo by-the-peer-$((40+1))\n');
  await Promise.all(all.map((page) => shows(page, 'by-the-peer-41')));

  // An observer's keys go nowhere.
  await bob.getByText('you look on').waitFor();
  await type(bob, 'echo by-the-observer\n');
  await type(zoe, 'echo by-the-guest\n');
  await type(alice, 'echo later-$((40+2))\n');
  await Promise.all(all.map((page) => shows(page, 'later-42')));
  await allSee(all, above);
  expect(!/observer|guest/.test(await screen(owner)), 'the keys of those who look on are not typed');

  // The keyboard is handed over, and taken back.
  await withPerson(owner, 'alice', 'Hand over the keyboard');
  await (await panel(owner)).getByText('Only alice types.').waitFor();
  await type(owner, 'echo not-mine\n');
  await type(alice, 'echo only-i-$((40+3))\n');
  await Promise.all(all.map((page) => shows(page, 'only-i-43')));
  expect(!(await screen(owner)).includes('not-mine'), 'who handed the keyboard over does not type');
  await (await panel(owner)).getByRole('button', { name: 'Take back' }).click();
  await alice.getByText('you look on').waitFor();
  await type(owner, 'echo mine-$((40+4))\n');
  await Promise.all(all.map((page) => shows(page, 'mine-44')));
  await (await panel(owner)).getByRole('button', { name: 'All type' }).click();
  await alice.getByText('you type').waitFor();

  // What is said.
  await say(alice, `hello ${EVIL}`);
  await Promise.all(all.map((page) => hears(page, `hello ${EVIL}`)));
  await say(zoe, 'I am new here');
  await Promise.all(all.map((page) => hears(page, 'I am new here')));
  await nothingRan(all);

  // The guest's browser asks for everything else.
  const [{ id: session }] = await scryJson('sessions');
  const opened = await zoe.evaluate(
    async ({ calls, node, login, session }) => {
      const reads = ['film', 'reel', 'transcript', 'events', 'search', 'cast', 'text'].map((what) => `recordings/${session}/${what}`);
      const place = new URLSearchParams({ node, login, path: '/etc/hostname' });
      const asked = [
        ...calls.map((path) => ['POST', path]),
        ...[...reads, 'audit/follow', `web/folder?${place}`, `web/files?${place}`].map((path) => ['GET', path]),
        ['POST', `web/files?${place}`],
      ];
      const answers = [];
      for (const [method, path] of asked) {
        const body = method === 'POST' ? JSON.stringify({ node, session, id: session }) : undefined;
        const { status } = await fetch(`/v1/${path}`, { method, body, headers: { 'content-type': 'application/json' } });
        answers.push([method, path, status]);
      }
      const size = { cols: 80, rows: 24 };
      for (const first of [{ open: { node, login, ...size } }, { attach: { node, session, ...size } }, { join: { node, session, seat: 'peer', ...size } }]) {
        const got = await new Promise((done) => {
          const socket = new WebSocket(`wss://${location.host}/v1/web/terminal`, 'scry.terminal.1');
          const texts = [];
          socket.onopen = () => socket.send(JSON.stringify(first));
          socket.onmessage = ({ data }) => (typeof data === 'string' ? texts.push(JSON.parse(data)) : texts.push('bytes'));
          socket.onclose = () => done(texts);
        });
        answers.push(['WebSocket', Object.keys(first)[0], got.length === 0 || (got.length === 1 && got[0].closed?.again === false) ? 401 : got]);
      }
      return answers;
    },
    { calls, node, login, session },
  );
  // What stands at the door is for everybody: it tells nothing of anybody.
  const door = new Set(['invitation', 'sign-up', 'cluster', 'web/door', 'web/sign-in', 'web/second', 'web/passkey/begin', 'web/passkey/finish', 'arrival/read', 'arrival/passkey', 'arrival/let-in', 'arrival/turn-away', 'share/look']);
  const inside = opened.filter(([, path, status]) => status !== 401 && !door.has(path));
  expect(inside.length === 0, `a guest's browser is let in: ${JSON.stringify(inside)}`);
  console.log(`${opened.length} ways were tried with a guest's browser`);

  // Over the line that is theirs, too: what an observer may not is refused, and changes nothing.
  const others = await scryJson('sessions');
  const parties = others[0].people.map(({ party }) => party);
  const asks = [
    ...['take_back', 'together', 'own_size', 'freeze', 'thaw', 'end'].map((ask) => ({ ask })),
    ...parties.flatMap((party) => [{ ask: 'hand_over', to: party }, { ask: 'show_out', party }, { ask: 'adopt', party }]),
    ...['approve', 'refuse'].flatMap((ask) => [{ ask, number: 0 }, { ask, number: 1 }]),
  ];
  const size = { cols: 33, rows: 7 };
  const seconds = [
    { open: { node, login, ...size } }, { attach: { node, session, ...size } }, { join: { node, session, seat: 'peer', ...size } },
    { link: { code: 'share-0123456789abcdefghjkmnpqrs', ...size } },
  ];
  const answered = await zoe.evaluate(
    async ({ link, asks, seconds, size }) => {
      const open = () =>
        new Promise((done) => {
          const socket = new WebSocket(`wss://${location.host}/v1/web/terminal`, 'scry.terminal.1');
          const line = { socket, texts: [] };
          socket.onopen = () => socket.send(JSON.stringify({ link: { code: link, name: 'mallory', ...size } }));
          socket.onmessage = ({ data }) => {
            if (typeof data !== 'string') return;
            line.texts.push(JSON.parse(data));
            if (line.texts.at(-1).opened) done(line);
          };
          line.closed = new Promise((over) => (socket.onclose = () => over(line.texts.findLast((text) => text.closed)?.closed ?? 'cut')));
          void line.closed.then(() => done(line));
        });
      const line = await open();
      for (const ask of asks) line.socket.send(JSON.stringify({ ask }));
      line.socket.send(JSON.stringify({ resize: { cols: 20, rows: 5 } }));
      line.socket.send(new TextEncoder().encode('echo by-mallory\n'));
      const answers = () => line.texts.filter(({ told }) => ['done', 'refused'].includes(told?.told)).map(({ told }) => told.told);
      const end = performance.now() + 15_000;
      while (answers().length < asks.length && performance.now() < end) await new Promise((again) => setTimeout(again, 10));
      const found = { answers: answers(), second: [] };
      line.socket.send(JSON.stringify({ leave: {} }));
      await line.closed;
      for (const second of seconds) {
        const { socket, closed } = await open();
        socket.send(JSON.stringify(second));
        found.second.push(await closed);
      }
      return found;
    },
    { link: new URL(guests).hash.slice(1).split('.')[0], asks, seconds, size },
  );
  expect(answered.answers.length === asks.length && answered.answers.every((told) => told === 'refused'), `all is refused: ${answered.answers}`);
  expect(
    answered.second.length === seconds.length && answered.second.every((closed) => /open already/.test(closed.why) && !closed.again),
    `nothing else is opened over it: ${JSON.stringify(answered.second)}`,
  );
  await until('each thing in the ledger, once', async () => {
    const denied = (await audit('access.denied')).filter((event) => event.user === 'guest:mallory' && event.session === session);
    return denied.length === DENIED.length && DENIED.every((action) => denied.some((event) => event.action === action));
  });
  await until('mallory to be gone', async () => !(await (await panel(owner)).getByRole('listitem').filter({ hasText: 'mallory' }).count()));
  await peopleAre(4);
  await type(owner, 'clear; stty size; echo still-$((40+5))\n');
  await Promise.all(all.map((page) => shows(page, 'still-45')));
  const [rows, cols] = /^(\d+) (\d+)$/m.exec(await screen(owner)).slice(1).map(Number);
  expect(rows > 7 && cols > 33, `the owner's size is the owner's: ${rows}, ${cols}`);
  expect(!(await screen(owner)).includes('mallory'), 'and so is what is typed');
  console.log(`${asks.length + seconds.length} things were asked over a guest's line`);

  // The line for plain ssh is all that somebody needs who has nothing of the cluster.
  const yan = inShell(ssh);
  await yan.says('Your name, for the others to see:');
  yan.type('yan\r');
  await told('seat.taken', (event) => event.user === 'guest:yan' && event.seat === 'observer');
  await peopleAre(5);
  await type(owner, 'echo for-ss""h-too\n');
  await yan.says('for-ssh-too');
  await withPerson(owner, 'yan', 'Show out');
  await yan.over();
  await peopleAre(4);

  // Somebody is shown out, and hears it.
  await withPerson(owner, 'bob', 'Show out');
  await isOver(bob);
  await told('seat.left', (event) => event.user === 'bob');
  await peopleAre(3);

  // A link that counts once is not used up by robots that fetch it, nor by who opens it and goes without joining.
  for (const to of ['guests', 'bob']) {
    const { id, web } = await scryJson('share', '--once', '--to', to);
    const address = web.replace(/^https:\/\/[^/]+/, origin);
    for (const flags of [['--user-agent', ROBOT], ['--head', '--user-agent', ROBOT], ['--head']]) {
      const got = await robot(address, ...flags);
      expect(/^HTTP\/\S+ 200/.test(got), `a robot gets the page: ${got.slice(0, 300)}`);
    }
    const page = to === 'bob' ? bob : await another();
    const open = async () => {
      // Another fragment alone would load nothing.
      await page.goto('about:blank');
      await page.goto(address);
    };
    await open();
    await page.getByRole('button', { name: 'Join', exact: true }).waitFor();
    await page.goto('about:blank');
    const uses = async () => (await audit('share.use')).filter((event) => event.link === id).length;
    const link = async () => (await scryJson('share', '--list')).find((one) => one.id === id);
    const before = await link();
    expect(before.used === 0 && before.state === 'open' && (await uses()) === 0, `nothing has used it: ${JSON.stringify(before)}`);
    await open();
    if (to === 'guests') await page.getByLabel('Your name').fill('yin');
    await page.getByRole('button', { name: 'Join', exact: true }).click();
    await shows(page, 'scry:');
    await peopleAre(4);
    const after = await link();
    expect(after.used === 1 && after.state === 'used' && (await uses()) === 1, `it was used once: ${JSON.stringify(after)}`);
    await open();
    await page.getByText(to === 'bob' ? 'this link counted once, and was used' : 'it does not count any more').waitFor();
    await peopleAre(3);
  }

  // Taking the link back ends what came by it, and it counts no more.
  const links = (await panel(owner)).getByRole('region', { name: 'Links into this session' });
  await links.locator('div', { hasText: 'observer for guests' }).last().getByRole('button', { name: 'Revoke' }).click();
  await isOver(zoe);
  await zoe.reload();
  await zoe.getByText('This link is not for guests, or it does not count any more').waitFor();

  // The owner's end is everybody's.
  await type(owner, 'exit\n');
  await Promise.all([owner, alice].map(isOver));
  await nothingRan(all);
});
