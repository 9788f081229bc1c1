// Links into a session: as observer and as peer, with an account, at the door, and as a guest. What is typed, said and shown, and
// by whom; none of it ever runs as HTML; and a guest's browser gets at nothing but the session.
import {
  EVIL, allSee, calls, expect, hears, isOver, knock, login, node, nothingRan, openTerminal, panel, play, say, screen, scry, scryJson,
  setRole, share, shows, signIn, signUp, told, type, until, user, withPerson,
} from './kit.mjs';

await play(async ({ page: owner, another }) => {
  await setRole('host', `[allow]\nshare = ['observer', 'peer']\nguests = ['observer']`);
  await scry('users', 'add', user, '--role', 'admin', '--role', 'host');
  const [alice, bob, zoe] = [await another(), await another(), await another()];
  await Promise.all([signIn(owner), signUp(alice, 'alice', 'access')]);
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
  await signUp(bob, 'bob', 'access');
  await bob.context().clearCookies();
  await bob.goto(lookers);
  await bob.getByText('Sign in to see into which one.').waitFor();
  expect(!(await bob.locator('body').innerText()).includes(user), 'nothing is told at the door');
  await bob.getByRole('button', { name: 'Sign in' }).click();
  await knock(bob, 'bob');
  await bob.getByText('As observer.').waitFor();
  await bob.getByRole('button', { name: 'Join', exact: true }).click();
  await shows(bob, 'scry:');

  // Who has no account comes as a guest where the link says so; what they call themselves is words, too.
  const guests = await share(owner, 'observer', 'guests');
  await zoe.goto(guests);
  await zoe.getByLabel('Your name').fill(EVIL.slice(0, 32));
  await zoe.getByRole('button', { name: 'Join', exact: true }).click();
  await shows(zoe, 'scry:');
  const all = [owner, alice, bob, zoe];
  await until('four are there', async () => (await (await panel(owner)).getByRole('listitem').filter({ hasText: 'since' }).count()) === 4);

  // All see what is written, and what is no letter, too.
  await type(owner, `clear; printf '\\e]0;${EVIL}\\a\\e[1;31mred\\e[m ${EVIL} 漢字\\n'; seq 3\n`);
  await Promise.all(all.map((page) => shows(page, '漢字')));
  await allSee(...all);
  await type(alice, 'echo by-the-peer-$((40+1))\n');
  await Promise.all(all.map((page) => shows(page, 'by-the-peer-41')));

  // An observer's keys go nowhere.
  await bob.getByText('you look on').waitFor();
  await type(bob, 'echo by-the-observer\n');
  await type(zoe, 'echo by-the-guest\n');
  await type(alice, 'echo later-$((40+2))\n');
  await Promise.all(all.map((page) => shows(page, 'later-42')));
  await allSee(...all);
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

  // Somebody is shown out, and hears it.
  await withPerson(owner, 'bob', 'Show out');
  await isOver(bob);
  await told('seat.left', (event) => event.user === 'bob');
  await until('three are left', async () => (await (await panel(owner)).getByRole('listitem').filter({ hasText: 'since' }).count()) === 3);

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
