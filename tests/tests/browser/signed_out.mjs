// Who is in a session hears that somebody looks at it; and a terminal that is open ends with the web session that opened it.
import { ask, expect, login, node, play, signIn, until } from './kit.mjs';

/** Opens a terminal by hand, and keeps what is told in `window.told`. */
const open = (page) =>
  page.evaluate(
    ({ node, login }) => {
      window.told = [];
      const socket = new WebSocket(`wss://${location.host}/v1/web/terminal`, 'scry.terminal.1');
      socket.onopen = () => socket.send(JSON.stringify({ open: { node, login, cols: 80, rows: 24 } }));
      socket.onmessage = ({ data }) => typeof data === 'string' && window.told.push(JSON.parse(data));
      socket.onclose = () => (window.over = performance.now());
    },
    { node, login },
  );

await play(async ({ browser, page }) => {
  await signIn(page);
  await open(page);
  const told = (look) => page.evaluate(`window.told.find((told) => ${look})`);
  const { opened } = await until('a session', () => told('told.opened'));
  await until('its company', () => told("told.told?.told === 'company'"));
  const happened = (what) => `told.told?.told === 'happened' && told.told.what === ${JSON.stringify(what)}`;
  await ask(`play ${opened.session}`);
  await until('the word of it', () => told(happened('bob looks at the recording of this session')));
  await ask(`preview ${opened.session}`);
  await until('the word of it', () => told(happened('bob looks at a preview of this session')));

  // Who is in it, and looks at it besides, is no news.
  await ask(`own ${opened.session}`);
  const looked = await page.evaluate("window.told.filter((told) => / looks at /.test(told.told?.what ?? '')).length");
  expect(looked === 2, `each is told once: ${looked}`);

  const elsewhere = await browser.newContext();
  const other = await elsewhere.newPage();
  await signIn(other);
  const began = await page.evaluate('performance.now()');
  await other.evaluate(async () => {
    const answer = await fetch('/v1/web/sessions/end', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ which: 'others' }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  });
  const { closed } = await until('the end', () => told('told.closed'), 3000);
  expect(closed.why === 'you have signed out' && !closed.again, JSON.stringify(closed));
  await until('the end of the line', () => page.evaluate('window.over'), 3000);
  console.log(`cut ${Math.round((await page.evaluate('window.over')) - began)} ms after it was asked`);
});
