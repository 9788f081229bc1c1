// A page of somebody's own with the stock asciinema-player, as `docs/embed.md` has it: a recording at any second, beside scry's own
// player, and a session as it goes on. On a page of another origin it is shown nothing.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, isOver, openTerminal, origin, play, screen, scryJson, shows, signIn, told, type, until, web } from './kit.mjs';

const bundle = createRequire(web).resolve('asciinema-player').replace(/dist\/.*/, 'dist/bundle/');
const [, html] = readFileSync(new URL('../../../docs/embed.md', import.meta.url), 'utf8').match(/```html\n(.*?)```/s);

/** A web server in front of scry that answers one folder itself. What playwright answers has no address, and Chromium asks before
 * a page without one opens a WebSocket to this machine. */
const folder = async (page) => {
  await page.context().grantPermissions(['local-network-access']);
  await page.route(`${origin}/show/**`, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').pop();
    return name === 'show.html'
      ? route.fulfill({ contentType: 'text/html', body: html })
      : route.fulfill({ path: `${bundle}${name}` });
  });
};

/** What stands on a stock player's screen. */
const theirs = (page) =>
  page.locator('.ap-line').evaluateAll((rows) => rows.map((row) => row.textContent.replaceAll('\u00a0', ' ').trimEnd()).join('\n'));

async function theyShow(page, text) {
  let seen = '';
  await until(text, async () => (seen = await theirs(page).catch(() => '')).includes(text)).catch((error) => {
    throw new Error(`${error.message}; the stock player shows:\n${seen}`);
  });
}

await play(async ({ page, another }) => {
  await signIn(page);
  await folder(page);
  await openTerminal(page);
  const [{ id }] = await scryJson('sessions');

  // A session as it goes on: the picture that is there, what is typed, and its end.
  await type(page, `printf '\\e[7mearly\\e[0m-\\360\\237\\246\\200-\\377-%s\\n' $((40+1))\n`);
  await shows(page, '-41');
  const live = await page.context().newPage();
  await folder(live);
  await live.goto(`${origin}/show/show.html?${id}&live`);
  await theyShow(live, 'early-🦀-\ufffd-41');
  await type(page, 'echo now-$((40+2))\n');
  await theyShow(live, 'now-42');
  // Its size is that of the session.
  const [rows, ours] = [await live.locator('.ap-line').count(), (await screen(page)).split('\n').length];
  expect(rows === ours, `${rows} rows, not ${ours}`);
  await type(page, `seq -f 'line %g of many' 25000; sleep 1; clear; echo last-$((40+3)); exit\n`);
  await isOver(page);
  await live.getByText('the session is over').waitFor();
  await told('recording.view', (event) => event.session === id && JSON.stringify(event).includes('"follow"'));

  // The recording, at any second, both ways.
  const recording = (await scryJson('recordings', 'ls')).find((one) => one.id === id);
  await live.goto(`${origin}/show/show.html?${id}`);
  await live.waitForFunction(() => globalThis.player?.seek);
  await live.evaluate(() => globalThis.player.seek(0));
  const seconds = recording.length_ms / 1000;
  const length = await live.evaluate(() => globalThis.player.getDuration());
  expect(Math.abs(length - seconds) < 0.0005, `it is ${length} s long, not ${seconds}`);
  for (const at of [Math.floor(seconds), 1, Math.floor(seconds) - 1, Math.floor(seconds / 2)]) {
    await page.goto(`${origin}/recordings/${id}?t=${at}`);
    await page.getByRole('button', { name: /^(Play|Pause)$/ }).and(page.locator(':enabled')).waitFor();
    await live.evaluate((at) => globalThis.player.seek(at), at);
    let seen;
    // xterm.js shows nothing of what is no UTF-8.
    const blank = (text) => text.replace(/\n+$/, '').replaceAll('\ufffd', '');
    await until('both players to show the same', async () => {
      seen = (await Promise.all([screen(page), theirs(live)])).map(blank);
      return seen[0].trim() && seen[0] === seen[1];
    }).catch((error) => {
      throw new Error(`${error.message} at ${at} s:\n${seen.join('\n-----\n')}`);
    });
  }
  const fetched = () => performance.getEntriesByType('resource').filter((one) => one.name.includes('/segment?')).length;
  expect((await live.evaluate(fetched)) > 1, 'it came in segments');
  await live.evaluate(() => globalThis.player.seek('100%'));
  await theyShow(live, 'last-43');
  // It plays through all segments to the end.
  await live.evaluate((at) => globalThis.player.seek(at), seconds - 2);
  await live.evaluate(() => {
    globalThis.player.addEventListener('ended', () => (globalThis.ended = true));
    return globalThis.player.play();
  });
  await live.waitForFunction(() => globalThis.ended);
  await theyShow(live, 'last-43');

  // Who is not signed in is told so; on a page of another origin nothing can be read, whoever looks.
  const stranger = await another();
  await folder(stranger);
  await stranger.goto(`${origin}/show/show.html?${id}`);
  await stranger.getByText('sign in first').waitFor();
  await page.route('https://evil.example/**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto('https://evil.example/');
  const got = await page.evaluate(async ([origin, id]) => {
    const ticket = `${origin}/v1/recordings/${id}/segments?ticket=x`;
    const read = (options) => fetch(ticket, options).then((answer) => answer.type, () => 'refused');
    const socket = new WebSocket(`wss${origin.slice(5)}/v1/recordings/${id}/alis?ticket=x`, ['v1.alis']);
    const opened = new Promise((done) => ((socket.onopen = () => done('open')), (socket.onclose = () => done('refused'))));
    return [await read({ credentials: 'include' }), await opened];
  }, [origin, id]);
  expect(got.join() === 'refused,refused', `another origin is shown nothing: ${got}`);
});
