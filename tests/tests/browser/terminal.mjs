// Signing in, a terminal, what is typed and shown, another size, a reload, a proxy that is killed.
import { ask, expect, login, node, origin, play, screen, shows, signIn, type, until } from './kit.mjs';

await play(async ({ page }) => {
  await signIn(page);
  const cookies = await page.context().cookies();
  const cookie = cookies.find(({ name }) => name === '__Host-scry');
  expect(cookie?.httpOnly && cookie.secure && cookie.sameSite === 'Strict', 'the cookie is hidden from scripts');
  expect(!(await page.evaluate(() => document.cookie)).includes('scry'), 'no script sees it');

  await page.goto(`${origin}/terminal/${node}/${login}`);
  await shows(page, '$', 20_000).catch(() => shows(page, '#'));
  await type(page, 'echo he""llo-$((40+2)); N=7\n');
  await shows(page, 'hello-42');

  const columns = async () => {
    await type(page, 'clear; echo cols=$(tput cols)=\n');
    return Number(/cols=(\d+)=/.exec(await until('a size', async () => /cols=\d+=/.test(await screen(page)) && screen(page)))[1]);
  };
  const before = await columns();
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width: width - 300, height });
  await until('fewer columns', async () => (await columns()) < before);
  await page.setViewportSize({ width, height });

  await type(page, 'clear; echo kept-$((N+1))\n');
  await shows(page, 'kept-8');
  await page.reload();
  await shows(page, 'kept-8', 20_000);
  await type(page, 'echo again-$((N+2))\n');
  await shows(page, 'again-9');

  await ask('kill the proxy');
  await ask('start the proxy');
  const back = Date.now();
  // What is typed before the line is back is lost, as on a cut wire.
  await until('the session, by itself', async () => {
    await type(page, 'echo after-$((N+3))\n');
    return shows(page, 'after-10', 500).catch(() => false);
  }, 40_000);
  console.log(`the page was back ${Date.now() - back} ms after the proxy`);
  expect((await screen(page)).includes('again-9'), 'the screen is as it was');

  await type(page, 'exit\n');
  await page.getByText(/has ended|ended/i).first().waitFor();
});
