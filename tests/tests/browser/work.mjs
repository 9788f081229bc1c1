// Work in a web terminal: vim on the whole screen, another size, links, what is copied and pasted, files by the picker and by dropping
// them, and away again; all of it in the ledger as sftp is. And a terminal that is painted by WebGL.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  WEBGL, expect, folder, isOver, login, node, openTerminal, origin, placeOf, play, screen, scryJson, shows, signIn, told, type,
  until,
} from './kit.mjs';

const desk = `${folder}/desk`;
mkdirSync(desk);

/** Rows that the page draws. */
const drawn = (page) => page.evaluate(() => document.querySelectorAll('.xterm-rows > div').length);

let asked = 0;
/** Asks vim for its size until it has as many rows as the page draws and the size fits; answers it. What it said may be gone
 * with the next picture before anybody has read it. */
const vimFits = (page, fits) =>
  until('vim at the size of the page', async () => {
    asked += 1;
    await type(page, `:echo "${asked}:" .. &columns .. "x" .. &lines .. "="\n`);
    const answer = new RegExp(`${asked}:(\\d+)x(\\d+)=`);
    const said = async () => answer.exec(await screen(page));
    const [, cols, rows] = (await until('what vim says', said, 1_000).catch(() => [])).map(Number);
    return rows === (await drawn(page)) && fits(cols, rows) && [cols, rows];
  });

/** Links of a terminal: said by the pointer, opened with Ctrl alone, and nothing but the web. */
async function links(page) {
  const context = page.context();
  await context.route('https://example.org/**', (route) => route.fulfill({ contentType: 'text/html', body: '<title>there</title>' }));
  const link = (address, words) => String.raw`\e]8;;${address}\e\\${words}\e]8;;\e\\`;
  const words = [link('javascript:window.ran=1', 'the-ba%s'), link('https://example.org/by-name', 'the-goo%s'), 'https://example.org/by-it%s'];
  await type(page, `clear; printf '${words.join(' ')}\n' d-one d-one self\n`);
  const opened = [];
  context.on('page', (page) => opened.push(page));
  const follow = async (text) => {
    const place = await placeOf(page, text);
    await page.mouse.move(...place);
    await page.mouse.click(...place);
    await page.keyboard.down('Control');
    await page.mouse.click(...place);
    await page.keyboard.up('Control');
  };
  await follow('the-bad-one');
  for (const [text, address] of [['the-good-one', 'https://example.org/by-name'], ['https://example.org/by-itself', 'https://example.org/by-itself']]) {
    await page.mouse.move(...(await placeOf(page, text)));
    await page.getByText(`Ctrl-click opens ${address}`).waitFor();
    await follow(text);
    const other = await until(`the page of ${text}`, () => opened.at(-1));
    await other.waitForURL(address);
    expect(await other.evaluate(() => window.opener === null && document.referrer === ''), 'it knows nothing of this one');
    expect(opened.length === 1, `a click without Ctrl, or a link to a script, opens nothing: ${opened.map((page) => page.url())}`);
    opened.length = 0;
    await other.close();
  }
  expect(await page.evaluate(() => window.ran === undefined), 'no link runs here');
  await context.unroute('https://example.org/**');
}

/** What is selected, copied, pasted and found. Several lines are asked about where a program would take each by itself. */
async function clipboard(page) {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  const kept = () => page.evaluate(() => navigator.clipboard.readText());
  const keep = (text) => page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await type(page, 'clear; echo copied-$((40+2))\n');
  await page.mouse.dblclick(...(await placeOf(page, 'copied-42')));
  await page.keyboard.press('Control+Shift+C');
  await until('the word that was selected', async () => (await kept()) === 'copied-42');
  await keep('echo pasted-$((40+3))');
  await page.keyboard.press('Control+Shift+V');
  await shows(page, 'echo pasted-$((40+3))');
  await page.keyboard.press('Enter');
  await shows(page, 'pasted-43');
  // A shell that is told what is pasted runs nothing before Enter.
  await keep('echo one-$((40+4))\necho two-$((40+5))');
  await page.keyboard.press('Control+Shift+V');
  await shows(page, 'echo two-$((40+5))');
  expect(!(await screen(page)).includes('one-44'), 'nothing runs by itself');
  await page.keyboard.press('Enter');
  await shows(page, 'two-45');
  await type(page, 'clear; echo wai""ts; cat > lines.txt\n');
  await shows(page, 'waits');
  await keep('first\nsecond\n');
  const dialog = page.getByRole('dialog', { name: 'Paste several lines?' });
  for (const [button, expected] of [['Cancel', ''], ['Paste', 'first\nsecond\n']]) {
    await page.keyboard.press('Control+Shift+V');
    await dialog.getByText('first').waitFor();
    await dialog.getByRole('button', { name: button, exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    if (expected) await shows(page, 'second');
    await until(`${button} to have done that`, () => readFileSync(`${desk}/lines.txt`, 'utf8') === expected);
  }
  await page.keyboard.press('Control+D');
  await type(page, 'seq 200; echo en""d\n');
  await shows(page, 'end');
  await page.keyboard.press('Control+Shift+F');
  await page.getByLabel('Find in the terminal').fill('second');
  await page.getByRole('search').getByRole('status').filter({ hasText: '1 of 1' }).waitFor();
  await shows(page, 'second');
  expect(!(await screen(page)).includes('\n200'), 'what was found above is gone to');
  await page.keyboard.press('Escape');
}

/** A terminal that is painted by WebGL shows what is written, in its colours. */
async function painted(page, notes) {
  await signIn(page);
  await page.goto(`${origin}/terminal/${node}/${login}`);
  await page.getByRole('button', { name: 'Files' }).and(page.locator(':enabled')).waitFor();
  const quiet = notes.length;
  await type(page, String.raw`exec sh -c 'printf "\033[2J\033[5;1H\033[48;2;1;200;3m%400s\033[m"; read x; exit'` + '\n');
  const green = async () => {
    const shot = (await page.locator('.xterm-screen').screenshot()).toString('base64');
    return page.evaluate(async (shot) => {
      const bytes = Uint8Array.from(atob(shot), (letter) => letter.charCodeAt(0));
      const picture = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
      const pen = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
      pen.drawImage(picture, 0, 0);
      const { data } = pen.getImageData(0, 0, picture.width, picture.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) count += Number(data[at] === 1 && data[at + 1] === 200 && data[at + 2] === 3);
      return count;
    }, shot);
  };
  // Two rows and more.
  await until('what WebGL paints', async () => (await green()) > 30_000);
  expect(await page.locator('.xterm-screen canvas').count(), 'it is painted on a canvas');
  expect(!(await page.locator('.xterm-rows').count()), 'and by nothing else');
  // On a slow machine the terminal says, too, that it takes long.
  const said = notes.slice(quiet).filter((note) => /^(error|warning|thrown)/.test(note) && !/task queue exceeded/.test(note));
  expect(!said.length, `nothing is wrong with that: ${said}`);
  await type(page, '\n');
  await isOver(page);
}

await play(async ({ page, another, launch, notes }) => {
  const webgl = launch(WEBGL).then((browser) => another({}, browser));
  await signIn(page);
  await openTerminal(page);
  await type(page, `cd ${desk}; echo before-$((40+2))\n`);
  await shows(page, 'before-42');

  // The whole screen is the program's, and comes back as it was.
  await type(page, 'vim -u NONE -N -i NONE poem.txt\n');
  await shows(page, '"poem.txt" [New]');
  expect(!(await screen(page)).includes('before-42'), 'vim has the whole screen');
  await type(page, 'iTyger Tyger, burning bright,\nIn the forests of the night;');
  await page.keyboard.press('Escape');
  await type(page, 'yyp:%s/Tyger/Tiger/g\n');
  await shows(page, 'Tiger Tiger, burning bright,');
  const { width, height } = page.viewportSize();
  const [cols, rows] = await vimFits(page, () => true);
  await page.setViewportSize({ width: width - 400, height: height - 200 });
  const small = await vimFits(page, (nowCols, nowRows) => nowCols < cols && nowRows < rows);
  await page.setViewportSize({ width, height });
  await vimFits(page, (nowCols, nowRows) => nowCols === cols && nowRows === rows);
  console.log(`vim was ${cols}x${rows}, then ${small.join('x')}, then as before`);
  await type(page, ':wq\n');
  await shows(page, 'before-42');
  expect(!(await screen(page)).includes('forests'), 'what stood there before is back');
  const poem = 'Tiger Tiger, burning bright,\nIn the forests of the night;\nIn the forests of the night;\n';
  expect(readFileSync(`${desk}/poem.txt`, 'utf8') === poem, 'vim wrote the file');

  // Another one beside it, and back to the first.
  const first = page.url();
  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Another terminal here' }).click();
  await page.waitForURL(/\?n=/);
  await until('two sessions', async () => (await scryJson('sessions')).length === 2);
  expect(!(await screen(page)).includes('before-42'), 'it is another terminal');
  await page.goBack();
  await page.waitForURL(first);
  await shows(page, 'before-42');

  await links(page);
  await clipboard(page);
  await painted(await webgl, notes);

  // A file by the picker.
  await page.getByRole('button', { name: 'Files' }).click();
  const dialog = page.getByRole('dialog', { name: `Files on ${node}` });
  await dialog.getByText('poem.txt').or(dialog.getByRole('listitem').first()).first().waitFor();
  await dialog.getByLabel('Folder', { exact: true }).fill(desk);
  await dialog.getByLabel('Folder', { exact: true }).press('Enter');
  await dialog.getByText('poem.txt').waitFor();
  const bytes = randomBytes(1_500_000);
  writeFileSync(`${folder}/random.bin`, bytes);
  await dialog.locator('input[type=file]').setInputFiles(`${folder}/random.bin`);
  await dialog.getByText('there', { exact: true }).waitFor();
  await dialog.getByRole('link', { name: 'Download random.bin' }).waitFor();
  expect(readFileSync(`${desk}/random.bin`).equals(bytes), 'the file is there as it was');

  // And away again, one that the session made and one that went up.
  for (const [name, wanted] of [['random.bin', bytes], ['poem.txt', Buffer.from(poem)]]) {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('link', { name: `Download ${name}` }).click(),
    ]);
    expect(download.suggestedFilename() === name, `it comes under its name: ${download.suggestedFilename()}`);
    expect(readFileSync(await download.path()).equals(wanted), `${name} comes as it is`);
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });

  // Another, whose name is hostile, dropped on the terminal.
  const name = '<img src=x onerror=ran=1>.txt';
  const dropped = await page.evaluateHandle((name) => {
    const all = new DataTransfer();
    all.items.add(new File(['dropped it was'], name, { type: 'text/plain' }));
    return all;
  }, name);
  await page.dispatchEvent('.xterm', 'dragenter', { dataTransfer: dropped });
  await page.getByText(`Drop to upload to ${node}`).waitFor();
  await page.dispatchEvent('.xterm', 'drop', { dataTransfer: dropped });
  await dialog.getByText(`“${name}” to ${desk}`).waitFor();
  await dialog.getByRole('button', { name: 'Upload here' }).click();
  await dialog.getByRole('link', { name: `Download ${name}` }).waitFor();
  expect(readFileSync(`${desk}/${name}`, 'utf8') === 'dropped it was', 'what was dropped is there');
  expect(await page.evaluate(() => window.ran === undefined && !document.querySelector('[onerror]')), 'its name is no element');

  // One that cannot be written says why, and nothing is left of it.
  await dialog.getByLabel('Folder', { exact: true }).fill('/proc');
  await dialog.getByLabel('Folder', { exact: true }).press('Enter');
  await dialog.getByText('cpuinfo').waitFor();
  await dialog.locator('input[type=file]').setInputFiles({ name: 'no.txt', mimeType: 'text/plain', buffer: Buffer.from('no') });
  await dialog.locator('[title]', { hasText: /./ }).filter({ hasNotText: /^there$/ }).last().waitFor();
  expect(!existsSync('/proc/no.txt'), 'nothing is there');
  await page.keyboard.press('Escape');

  // The ledger has each way, with what it was; `read` and `written` are the node's words.
  const size = { 'random.bin': bytes.length, 'poem.txt': poem.length, [name]: 'dropped it was'.length };
  for (const [file, direction] of [['random.bin', 'written'], ['random.bin', 'read'], ['poem.txt', 'read'], [name, 'written']]) {
    const event = await told('session.transfer', (event) => event.path === `${desk}/${file}` && event.direction === direction);
    const whole = event.result === 'ok' && event.bytes === size[file] && /^[0-9a-f]{64}$/.test(event.hash);
    expect(whole && event.node === node, `the ledger says what was moved: ${JSON.stringify(event)}`);
  }
  await type(page, 'exit\n');
  await isOver(page);
});
