// How long the player takes with a long recording, beside the stock asciinema-player with the same one. The last line is what
// was measured, as JSON. No test: `cargo xtask bench player` plays it.
import { createReadStream, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { ask, expect, origin, percentiles, play, signIn, web } from './kit.mjs';

const SEEKS = 50;
/** The other player plays all that was before, each time. */
const THEIR_SEEKS = 5;
const THEIR_PATIENCE_MS = 120_000;

/** The same random moments in each run, as parts of the whole. */
function* moments() {
  for (let state = 0x9e3779b9; ; ) {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Bytes that came over the network, as they were sent. */
async function count(page) {
  const line = await page.context().newCDPSession(page);
  await line.send('Network.enable');
  const counted = { bytes: 0 };
  line.on('Network.dataReceived', ({ encodedDataLength }) => (counted.bytes += encodedDataLength));
  return counted;
}

/** The measure of a jump in the page, once there is one. */
const measured = (page) =>
  page.evaluate(
    () =>
      new Promise((done) => {
        const look = () => {
          const [found] = performance.getEntriesByName('scry.seek', 'measure');
          if (!found) return requestAnimationFrame(look);
          performance.clearMeasures('scry.seek');
          done({ took: found.duration, end: found.startTime + found.duration });
        };
        look();
      }),
  );

/** From an empty page with nothing in the browser's store to the first words of the list, in milliseconds. */
async function painted(page) {
  const line = await page.context().newCDPSession(page);
  const first = [];
  for (let round = 0; round < 5; round++) {
    await page.goto('about:blank');
    await line.send('Network.clearBrowserCache');
    await page.goto(`${origin}/recordings`);
    await page.locator('a[href*="/recordings/"]').first().waitFor();
    first.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
  }
  await line.detach();
  return percentiles(first, 0.95);
}

async function ours(page, id) {
  const cold = [];
  for (let round = 0; round < 5; round++) {
    await page.goto('about:blank');
    await page.goto(`${origin}/recordings/${id}?t=0`, { waitUntil: 'commit' });
    cold.push((await measured(page)).end);
  }
  // From the list: the page and its parts are there, the recording is not.
  const opened = [];
  for (let round = 0; round < 5; round++) {
    await page.goto(`${origin}/recordings`);
    const row = page.locator(`a[href*="${id}"]`).first();
    await row.waitFor();
    await page.evaluate(() =>
      addEventListener('click', () => (performance.clearMeasures('scry.seek'), (globalThis.clicked = performance.now())), { capture: true, once: true }),
    );
    await row.click();
    const { end } = await measured(page);
    opened.push(end - (await page.evaluate(() => globalThis.clicked)));
  }
  await page.goto(`${origin}/recordings/${id}?t=0`);
  await measured(page);
  const box = await page.getByRole('slider', { name: 'Time line' }).first().boundingBox();
  expect(box?.width > 200, 'there is a time line');
  const counted = await count(page);
  const took = [];
  const where = moments();
  for (let seek = 0; seek < SEEKS; seek++) {
    await page.mouse.click(box.x + box.width * where.next().value, box.y + 10);
    took.push((await measured(page)).took);
  }
  return { cold_ms: percentiles(cold, 0.95), opened_ms: percentiles(opened, 0.95), seek_ms: percentiles(took, 0.95), sent: counted.bytes };
}

/** A page that has nothing but the stock player. */
function theirServer(cast) {
  const bundle = createRequire(web).resolve('asciinema-player').replace(/dist\/.*/, 'dist/bundle/');
  const files = {
    '/player.js': ['text/javascript', readFileSync(`${bundle}asciinema-player.min.js`)],
    '/player.css': ['text/css', readFileSync(`${bundle}asciinema-player.css`)],
    '/': ['text/html', '<!doctype html><link rel=stylesheet href=/player.css><script src=/player.js></script><div id=here style="width:900px"></div>'],
  };
  const server = createServer((request, response) => {
    if (request.url === '/cast') return void createReadStream(cast).pipe(response);
    const found = files[request.url];
    response.writeHead(found ? 200 : 404, { 'content-type': found?.[0] ?? 'text/plain' });
    response.end(found?.[1]);
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

async function theirs(page, cast) {
  const server = await theirServer(cast);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const counted = await count(page);
  const patience = (what) => Promise.race([what, new Promise((done) => setTimeout(done, THEIR_PATIENCE_MS, null))]);
  const ready_ms = await patience(
    page.evaluate(async () => {
      const begun = performance.now();
      const player = globalThis.AsciinemaPlayer.create('/cast', document.getElementById('here'), { preload: true, fit: 'width' });
      globalThis.player = player;
      await player.seek(0);
      await new Promise((done) => requestAnimationFrame(done));
      return performance.now() - begun;
    }),
  );
  const took = [];
  const where = moments();
  for (let seek = 0; ready_ms !== null && seek < THEIR_SEEKS; seek++) {
    const one = await patience(
      page.evaluate(async (part) => {
        const begun = performance.now();
        await globalThis.player.seek(`${part * 100}%`);
        await new Promise((done) => requestAnimationFrame(done));
        return performance.now() - begun;
      }, where.next().value),
    );
    if (one === null) break;
    took.push(one);
  }
  server.close();
  server.closeAllConnections();
  return { ready_ms, seek_ms: took.length ? percentiles(took, 0.95) : null, seeks: took.length, sent: counted.bytes };
}

await play(async ({ page, another }) => {
  await signIn(page);
  const id = await ask('recording');
  const mine = { ...(await ours(page, id)), paint_ms: await painted(page) };
  const peer = await theirs(await another(), await ask('cast')).catch((error) => ({ failed: error.message }));
  console.log(JSON.stringify({ ours: mine, asciinema: peer }));
});
