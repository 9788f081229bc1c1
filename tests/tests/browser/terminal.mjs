// Signing in, a terminal, what is typed and shown, another size, a reload, a proxy that is killed again and again: the page comes
// back by itself, to the whole screen as it was, with its colours, the cursor, and what the program has asked for. And a node that
// is killed: what is missing then.
import { ask, cell, expect, folder, login, look, node, origin, play, screen, scry, scryJson, shows, signIn, type, until } from './kit.mjs';

/** All that letters can be. */
const LOOKS = [
  String.raw`\e[1mbold\e[m \e[3;4mleaning\e[m \e[7mturned\e[m \e[9mstruck\e[m \e[2mfaint\e[m`,
  String.raw`\e[31;44mof the sixteen\e[m \e[38;5;208mof more\e[m \e[38;2;250;250;9;48;2;1;60;3mof all\e[m`,
  '漢字 é|',
];

await play(async ({ page }) => {
  await signIn(page);
  const cookies = await page.context().cookies();
  const cookie = cookies.find(({ name }) => name === '__Host-scry');
  expect(cookie?.httpOnly && cookie.secure && cookie.sameSite === 'Strict', 'the cookie is hidden from scripts');
  expect(!(await page.evaluate(() => document.cookie)).includes('scry'), 'no script sees it');

  await page.goto(`${origin}/terminal/${node}/${login}`);
  await until('a prompt', async () => /[$#]\s*$/.test(await screen(page).catch(() => '')), 20_000);
  await type(page, 'echo he""llo-$((40+2)); N=7\n');
  await shows(page, 'hello-42');

  const columns = async () => {
    await type(page, 'clear; echo cols=$(tput cols)=\n');
    return Number(await until('a size', async () => /cols=(\d+)=/.exec(await screen(page))?.[1]));
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

  /** Kills the proxy and starts it again, while nothing is typed: the screen is as it was. Answers it. */
  const outlives = async (what, ...marks) => {
    const before = await look(page);
    const missing = marks.filter((mark) => !before.includes(mark));
    expect(!missing.length, `there is ${missing} to lose in ${what}:\n${before}`);
    await ask('kill the proxy');
    await page.getByText('The connection was lost. Your session waits').waitFor();
    await ask('start the proxy');
    const began = Date.now();
    const open = page.getByRole('button', { name: 'Files' }).and(page.locator(':enabled'));
    const over = page.getByRole('status').filter({ hasText: 'The session is over' });
    await open.or(over).waitFor({ timeout: 40_000 });
    if (await over.count()) throw new Error(`${what} is gone: ${await over.innerText()}`);
    let seen;
    await until(`${what}, as before`, async () => (seen = await look(page).catch(String)) === before).catch((error) => {
      throw new Error(`${error.message}:\n${before}\n----- it is:\n${seen}`);
    });
    console.log(`${what} was back ${Date.now() - began} ms after the proxy`);
    return before;
  };
  // A shell, and more lines than there is room for.
  await type(page, String.raw`exec env N=$N PS1='\[\e[1;32m\]scry\[\e[m\]:' bash --norc --noprofile` + '\n');
  await shows(page, 'scry:');
  await type(page, `clear; seq 200; printf '%b\\n' ${LOOKS.map((words) => `'${words}'`).join(' ')}\n`);
  await shows(page, '漢字 é|\nscry:');
  const marks = ['xterm-bold', 'xterm-italic', 'xterm-strikethrough', 'xterm-dim', 'xterm-bg-4', ': of more}', 'rgb(1, 60, 3)'];
  const shell = await outlives('the shell', ...marks, '\n200\n', '{xterm-cursor xterm-cursor-block: ');
  // A program that has the whole screen, the pointer and another cursor.
  await type(page, `printf '\\e[5 q'; vim -u NONE -N -i NONE -c 'set nu cul ru mouse=a ttymouse=sgr' -c 'silent 0r !seq 50' -c 'call cursor(12, 2)'\n`);
  await until('vim at its place', async () => /12,2\D/.test(await screen(page)));
  await outlives('vim', 'xterm-cursor-bar');
  await page.mouse.click(...(await cell(page, 6, 6)));
  await shows(page, ' 6,1 ');
  await type(page, ':q!\n');
  // What stood behind it is what came back with it.
  await until('the shell', async () => (await screen(page)).trimEnd().endsWith('scry:'));
  const behind = await outlives('the shell behind it', ...marks);
  const colours = shell.split('\n').find((line) => line.includes('rgb(1, 60, 3)'));
  expect(behind.includes(colours), `its colours are those of before:\n${behind}`);
  await type(page, 'echo after-$((N+3))\n');
  await shows(page, 'after-10');

  // What a node that dies cannot keep is a gap: counted, named and led to; and what stands beside it finds the same, offline.
  const [{ id }] = await scryJson('sessions');
  await ask('kill the node');
  await ask('start the node');
  const stored = async () => (await scryJson('recordings', 'ls')).find((one) => one.id === id && one.phase === 'stored');
  const { gaps } = await until('the recording', stored, 40_000);
  expect(gaps > 0, `it has a gap: ${gaps}`);
  await page.goto(`${origin}/settings/verification`);
  await page.locator('dl > div').filter({ hasText: 'With gaps' }).locator('dd').first().filter({ hasText: /^1$/ }).waitFor();
  await page.getByRole('link', { name: /^Verification\s*1 not whole$/ }).waitFor();
  const command = await page.getByText(/^scry verify FILE --key scry-seal:/).innerText();
  const file = `${folder}/gap.scry`;
  await scry('recordings', 'export', id, '--output', file);
  // It fails where it does not find it complete.
  const said = await scry(...command.replace('FILE', file).split(/\s+/).slice(1));
  expect(/gap/i.test(said), `and says what is missing: ${said}`);
  await page.getByRole('row').filter({ hasText: 'something is missing' }).getByRole('link', { name: /^Go to the (first )?gap$/ }).click();
  await page.getByRole('status').filter({ hasText: 'something is missing here' }).waitFor();
  await page.waitForURL(new RegExp(`/recordings/${id}.*[?&]t=`));
});
