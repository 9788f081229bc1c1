// Every page, light and dark, with what axe finds in it: nothing serious and nothing critical.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, login, node, openTerminal, origin, panel, play, scryJson, signIn, user, web } from './kit.mjs';

const axe = readFileSync(createRequire(web).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds that is serious or worse. Colours that a recorded program chose are not looked at. The page's own rules forbid
 * scripts from elsewhere: the checker comes in beside them. */
async function faults(page) {
  const line = await page.context().newCDPSession(page);
  const run = `(async () => { ${axe}; const found = await axe.run({ exclude: ['[data-foreign]', '.xterm'] }, { resultTypes: ['violations'] });
    return JSON.stringify(found.violations.map(({ impact, id, nodes }) => ({ impact, id, where: nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)) }))); })()`;
  const { result, exceptionDetails } = await line.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
  expect(!exceptionDetails, `axe runs: ${exceptionDetails?.text}`);
  await line.detach();
  return JSON.parse(result.value).filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

const PLACES = ['nodes', 'sessions', 'recordings', 'audit', 'me', 'settings/users', 'settings/roles', 'settings/nodes', 'settings/locks', 'settings/links', 'no/such/page'];

await play(async ({ page, another }) => {
  const found = [];
  let looked = 0;
  const look = async (page, what) => {
    // A session that is followed asks without end.
    if (what !== 'recording') await page.waitForLoadState('networkidle');
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      looked += 1;
      for (const fault of await faults(page)) found.push(`${what}, ${colorScheme}: ${JSON.stringify(fault)}`);
    }
  };
  const nobody = await another();
  for (const place of ['sign-in', 'invitation', 'login', 'login#abcd-efgh', 'join#share-0123456789abcdefghjkmnpqrs']) {
    await nobody.goto(`${origin}/${place}`);
    await look(nobody, place);
  }
  await signIn(page);
  await openTerminal(page);
  await panel(page);
  await look(page, `terminal/${node}/${login}`);
  const [{ id }] = await scryJson('sessions');
  const second = await page.context().newPage();
  await second.emulateMedia({ reducedMotion: 'reduce' });
  await second.goto(`${origin}/recordings/${id}`);
  await second.getByRole('button', { name: 'Following' }).waitFor();
  await look(second, 'recording');
  for (const place of PLACES) {
    await second.goto(`${origin}/${place}`);
    await second.getByRole('main').waitFor();
    await look(second, place);
  }
  // A role is asked about before anybody has it; the answer is the server's, and nothing is saved.
  await second.goto(`${origin}/settings/roles`);
  await second.getByRole('button', { name: 'New role' }).click();
  const dialog = second.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill('fresh');
  await dialog.getByLabel('Logins').first().fill('daemon');
  await dialog.getByLabel('On nodes with labels').first().fill('*');
  await dialog.getByRole('button', { name: 'Review' }).click();
  for (const [field, words] of [['User', user], ['Login', 'daemon'], ['Node', node]]) await dialog.getByLabel(field, { exact: true }).fill(words);
  await dialog.getByRole('button', { name: 'Ask' }).click();
  await dialog.getByText(`${user} as daemon@${node}: allowed.`).waitFor();
  await dialog.getByText('role fresh: allow.logins').first().waitFor();
  await dialog.getByLabel('How').selectOption('moderator');
  await dialog.getByLabel('Whose session').fill(user);
  await dialog.getByRole('button', { name: 'Ask' }).click();
  await dialog.getByText(`${user} as a moderator in a session of ${user} as daemon@${node}: denied.`).waitFor();
  await look(second, 'a role that is asked about');
  expect(!(await scryJson('roles', 'ls')).some(({ name }) => name === 'fresh'), 'nothing is saved');
  console.log(`axe looked ${looked} times`);
  expect(found.length === 0, `nothing serious is found:\n${found.join('\n')}`);
});
