// `scry login --browser`: a terminal is signed in by a passkey in a browser that it opened itself, or in any other; turned away; left.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { audit, authenticator, expect, folder, invite, login, node, origin, password, play, scryJson, setRole, takeUp, told, until } from './kit.mjs';

const { client, scry } = JSON.parse(process.env.SCRY_SCENE);
const { host } = new URL(origin);
const home = `${folder}/danas`;
const env = { ...process.env, SCRY_HOME: home, BROWSER: `${folder}/opener` };
const opened = `${folder}/opened`;

/** Runs `scry` as dana. */
function danas(...args) {
  const child = spawn(scry, args, { env });
  const said = { out: '', err: '' };
  child.stdout.on('data', (bytes) => (said.out += bytes));
  child.stderr.on('data', (bytes) => (said.err += bytes));
  const ended = once(child, 'close').then(([code]) => code);
  return { child, said, ended, type: (text) => child.stdin.write(`${text}\n`) };
}

/** Begins to sign in; answers the terminal, what it says, and the address that it opened, if it opens one. */
async function begins(...further) {
  rmSync(opened, { force: true });
  const terminal = danas('login', host, '--pin', pin, '--user', 'dana', '--no-agent', '--json', '--browser', ...further);
  const line = await until('its first line', () => terminal.said.out.includes('\n') && terminal.said.out.split('\n')[0]);
  const address = further.includes('--no-open') ? '' : await until('a browser', () => existsSync(opened) && readFileSync(opened, 'utf8'));
  return { ...terminal, ...JSON.parse(line), address };
}

/** Whether dana may log in. */
async function works() {
  const { said, ended } = danas('ssh', `${login}@${node}`, 'echo it-works-$((40+2))');
  expect((await ended) === 0 && said.out.includes('it-works-42'), `scry ssh works: ${said.out}${said.err}`);
}

/** A port at which nobody listens. */
async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

const passkey = (page) => page.getByRole('button', { name: 'It is mine: use a passkey' });

let pin;

await play(async ({ page, another }) => {
  ({ pin } = await scryJson('status'));
  expect(client !== home, 'dana is not the admin');
  await setRole('shell', `[allow]\nlogins = ['${login}']\nnodes = { '*' = ['*'] }`);
  writeFileSync(`${folder}/opener`, `#!/bin/sh\nprintf %s "$1" > ${opened}.new && mv ${opened}.new ${opened}\n`);
  chmodSync(`${folder}/opener`, 0o755);
  await authenticator(page);
  await takeUp(page, await invite('dana', 'access', 'shell'));
  await page.getByRole('button', { name: /^Passkey/ }).click();
  await page.getByLabel('I have kept them').check();
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.waitForURL('**/nodes');

  // Whoever has nothing but a passkey beside the password is told how.
  const plain = danas('login', host, '--pin', pin, '--user', 'dana', '--no-agent');
  plain.type(password);
  plain.child.stdin.end();
  expect((await plain.ended) !== 0 && plain.said.err.includes('`scry login --browser`'), `it says so: ${plain.said.err}`);

  // In the browser that the terminal opened, where dana is signed in: that is not enough, and then the terminal hears by itself.
  const first = await begins();
  expect(first.address.startsWith(`${first.open}.`), `an address of this terminal: ${first.address}`);
  await page.goto(first.address);
  await page.getByText(first.code).waitFor();
  await page.getByText(first.key).waitFor();
  expect(!first.said.out.includes('signed_in'), 'a page that is looked at signs nobody in');
  await passkey(page).click();
  await page.getByText('Go on in the terminal').waitFor();
  expect(page.url() === `${origin}/login#done`, `no secret is left in the address: ${page.url()}`);
  expect((await first.ended) === 0 && first.said.out.includes('"signed_in": true'), `it is signed in: ${first.said.out}${first.said.err}`);
  await works();
  const event = await told('user.terminal_let_in', (one) => one.user === 'dana');
  expect(event.method === 'passkey' && event.key === first.key, JSON.stringify(event));
  expect((await audit('user.sign_in')).some((one) => one.user === 'dana' && one.method === 'passkey in a browser'), 'the sign-in is told');

  // The same again, once it is over.
  await page.goto(first.address);
  await page.getByText('Nobody waits with this code').waitFor();

  // The page does not reach the terminal: whoever goes back is shown what to type there, and nothing else counts.
  rmSync(home, { recursive: true });
  const second = await begins();
  const [code, , state] = new URL(second.address).hash.slice(1).split('.');
  await page.goto(`${origin}/login#${code}.${await closedPort()}.${state}`);
  await passkey(page).click();
  await page.getByText('refused to connect').first().waitFor();
  await page.goBack();
  const answer = await page.locator('[data-answer]').innerText();
  second.type('aaaa-aaaa');
  await until('a word about it', () => second.said.err.includes('This does not fit'));
  second.type(answer.toUpperCase());
  expect((await second.ended) === 0, `it is signed in: ${second.said.err}`);
  await works();

  // Another browser, by a code that is typed: it is told to look who asks. It is turned away.
  const third = await begins('--no-open');
  const phone = await another({ viewport: { width: 390, height: 844 } });
  await phone.goto(`${origin}/login`);
  await phone.getByLabel('Code').fill(third.code.toUpperCase());
  await phone.getByRole('button', { name: 'Go on' }).click();
  await phone.getByText('If somebody sent you here, they want to be you.').waitFor();
  await phone.getByRole('button', { name: 'It is not mine' }).click();
  await phone.getByText('Nobody is signed in there').waitFor();
  third.type('abcd-efgh');
  expect((await third.ended) !== 0 && third.said.err.includes('waits no more'), `it is told so: ${third.said.err}`);
  await told('user.terminal_turned_away', (one) => one.whose === 'dana' && one.key === third.key);

  // Turned away in the browser that the terminal opened, which hears of it.
  const fourth = await begins();
  await page.goto(fourth.address);
  await page.getByRole('button', { name: 'It is not mine' }).click();
  await page.getByText('Nobody is signed in there').waitFor();
  expect((await fourth.ended) !== 0 && fourth.said.err.includes('turned away'), `it is told so: ${fourth.said.err}`);

  // By the password where somebody has no other factor; the answer is typed, and taken back is taken back.
  const fifth = await begins();
  await page.goto(fifth.open);
  await page.getByRole('button', { name: 'use the password' }).click();
  await page.getByLabel('Password of dana').fill(password);
  await page.getByRole('button', { name: 'Sign in the terminal' }).click();
  // The passkey is asked for by itself.
  await page.locator('[data-answer]').waitFor();
  const late = await page.locator('[data-answer]').innerText();
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('Nobody is signed in there').waitFor();
  fifth.type(late);
  expect((await fifth.ended) !== 0, 'it was taken back');

  // Ctrl-c: nobody is let in any more, and what was there before stays.
  const sixth = await begins('--no-open');
  sixth.child.kill('SIGINT');
  expect((await sixth.ended) !== 0 && sixth.said.err.includes('cancelled'), sixth.said.err);
  await page.goto(sixth.open);
  await page.getByText('Nobody waits with this code').waitFor();
  await works();

  // Nobody can type, and no browser is opened.
  const seventh = await begins('--no-open');
  seventh.child.stdin.end();
  expect((await seventh.ended) !== 0 && seventh.said.err.includes('nobody can type'), seventh.said.err);
});
