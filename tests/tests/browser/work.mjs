// Work in a web terminal: vim on the whole screen, another size, files by the picker and by dropping them, and away again; all of
// it in the ledger as sftp is.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  expect, folder, isOver, node, openTerminal, play, screen, shows, signIn, told, type, until,
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

await play(async ({ page }) => {
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
