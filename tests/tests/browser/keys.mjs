// A terminal in a page: keys and their echoes, then a flood. The last line is what was measured, as JSON. No test:
// `cargo xtask bench web` plays it.
import { ask, expect, openTerminal, percentiles, play, shows, signIn, type, until } from './kit.mjs';

const WARM = 20;

/** Watches when the widget changes its rows, which it does in the frame that shows them. */
const watchRows = () => {
  const watch = new MutationObserver(() => (globalThis.painted = performance.now()));
  watch.observe(document.querySelector('.xterm-rows'), { childList: true, subtree: true, characterData: true });
};

/**
 * One key; how long until its echo was taken in, and how much longer until it was painted. Asked for afterwards: in a page
 * that asks for every frame, Chromium lets what comes over a WebSocket after a key wait for the next one.
 */
async function press(page, pause) {
  await page.evaluate(() => performance.clearMeasures('scry.echo'));
  await page.keyboard.press('x');
  await new Promise((done) => setTimeout(done, pause));
  return page.evaluate(() => {
    const [echo] = performance.getEntriesByName('scry.echo', 'measure');
    const taken = echo.startTime + echo.duration;
    return { echo: echo.duration, paint: globalThis.painted - taken };
  });
}

await play(async ({ page }) => {
  const [presses, mib, pause] = (await ask('wanted')).split(' ').map(Number);
  await signIn(page);
  await openTerminal(page);
  await type(page, 'stty raw -echo; printf READ; printf Y; exec cat\n');
  await shows(page, 'READY');
  await page.evaluate(watchRows);
  const [echo, paint] = [[], []];
  for (let key = 0; key < WARM + presses; key++) {
    const took = await press(page, pause);
    expect(took.paint >= 0, 'what was taken in was painted');
    if (key >= WARM) {
      echo.push(took.echo);
      paint.push(took.paint);
    }
  }
  await page.goto('about:blank');
  // Another address, or the page comes back to the session of before.
  await openTerminal(page, '?flood');
  const before = Number(await ask('resident'));
  await page.evaluate(() => {
    globalThis.frames_ms = [];
    let last = performance.now();
    const frame = (now) => {
      globalThis.frames_ms.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const bytes = mib * 2 ** 20;
  await type(page, `head -c ${Math.ceil(bytes * 0.74)} /dev/urandom | base64 -w 100; echo all-$((40+2))\n`);
  let most = before;
  const begun = Date.now();
  await until('the end of the flood', async () => {
    most = Math.max(most, Number(await ask('resident')));
    return shows(page, 'all-42', 200).catch(() => false);
  }, 180_000);
  const took = Date.now() - begun;
  const frames = await page.evaluate(() => globalThis.frames_ms.splice(0));
  // Another one, and a person who has seen enough.
  await type(page, 'clear; yes\n');
  await shows(page, 'y\ny');
  await new Promise((done) => setTimeout(done, 1_000));
  const stopped = Date.now();
  await page.keyboard.press('Control+c');
  await type(page, 'clear; echo stopped-$((40+2))\n');
  await shows(page, 'stopped-42');
  const stop = Date.now() - stopped;
  expect(frames.length > 10, 'there were frames');
  console.log(
    JSON.stringify({
      echo_ms: percentiles(echo, 0.99),
      paint_ms: percentiles(paint, 0.99),
      flood: {
        mb_per_s: bytes / took / 1e3,
        frame_ms: percentiles(frames, 0.99),
        stop_ms: stop,
        grown_mib: (most - before) / 1024,
      },
    }),
  );
});
