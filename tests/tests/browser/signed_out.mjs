// Who is in a session hears that somebody looks at it; and what is open ends with the web session that opened it: a terminal, and
// files that are under way, up and down.
import { truncateSync, writeFileSync } from 'node:fs';
import { ask, audit, expect, folder, login, node, play, signIn, until } from './kit.mjs';

/** Bytes of the file that is fetched: more than comes in the time that this takes. */
const LARGE = 2 ** 40;

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

/** Moves a file up and another down, for as long as it may; keeps what became of them in `window.moved`. */
const move = (page, paths) =>
  page.evaluate(
    ({ node, login, up, down }) => {
      const moved = (window.moved = { up: { bytes: 0 }, down: { bytes: 0 } });
      const address = (path) => `/v1/web/files?${new URLSearchParams({ node, login, path })}`;
      const ends = (one, how) => ((one.how = String(how)), (one.over = performance.now()));
      const body = new ReadableStream({
        async pull(stream) {
          await new Promise((go) => setTimeout(go, 20));
          stream.enqueue(new Uint8Array(16_384));
          moved.up.bytes += 16_384;
        },
      });
      fetch(address(up), { method: 'POST', body, duplex: 'half' }).then(
        async (answer) => ends(moved.up, `${answer.status} ${await answer.text()}`),
        (error) => ends(moved.up, error),
      );
      (async () => {
        const answer = await fetch(address(down));
        const reader = answer.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return ends(moved.down, 'whole');
          moved.down.bytes += value.length;
          await new Promise((go) => setTimeout(go, 5));
        }
      })().catch((error) => ends(moved.down, error));
    },
    { node, login, ...paths },
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

  const [up, down] = [`${folder}/up.bin`, `${folder}/down.bin`];
  writeFileSync(down, '');
  truncateSync(down, LARGE);
  await move(page, { up, down });
  const moved = () => page.evaluate(() => window.moved);
  await until('files under way', async () => {
    const { up, down } = await moved();
    expect(!up.over && !down.over, `both go on: ${JSON.stringify({ up, down })}`);
    return up.bytes > 100_000 && down.bytes > 1_000_000;
  });

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
  const cut = await until('the end of both files', async () => {
    const { up, down } = await moved();
    return up.over && down.over && { up, down };
  }, 3000);
  expect(!/^200/.test(cut.up.how) && cut.down.how !== 'whole' && cut.down.bytes < LARGE, `neither is whole: ${JSON.stringify(cut)}`);
  const stay = await moved();
  await new Promise((done) => setTimeout(done, 300));
  expect((await moved()).down.bytes === stay.down.bytes, 'nothing comes any more');
  // Both stand in the ledger as what they are.
  for (const [path, direction] of [[up, 'written'], [down, 'read']]) {
    const event = await until(`the ${direction} file in the ledger`, async () => (await audit('session.transfer')).find((one) => one.path === path));
    expect(event.direction === direction && event.result !== 'ok', `it is told as broken off: ${JSON.stringify(event)}`);
  }
  console.log(`cut ${Math.round((await page.evaluate('window.over')) - began)} ms after it was asked`);
});
