// From an invitation to a passkey, and to an authenticator app with recovery codes; signing in with each; signing out everywhere.
import { authenticator, expect, invite, knock, origin, play, signOut, takeUp, totp } from './kit.mjs';

/** Keeps the recovery codes that the page shows. */
async function keepCodes(page) {
  await page.getByLabel('I have kept them').waitFor();
  const codes = await page.locator('li.mono').allInnerTexts();
  expect(codes.length >= 8 && new Set(codes).size === codes.length, `recovery codes are shown: ${codes.length}`);
  expect(await page.getByRole('button', { name: 'Go on' }).isDisabled(), 'nothing goes on before they are kept');
  await page.getByLabel('I have kept them').check();
  await page.getByRole('button', { name: 'Go on' }).click();
  return codes;
}

const arrives = (page) => page.waitForURL('**/nodes');

await play(async ({ page, another }) => {
  // A passkey.
  const invitation = await invite('alice');
  await authenticator(page);
  await page.goto(invitation);
  await page.getByText('Welcome, alice').waitFor();
  await page.getByLabel('New password').fill('short');
  await page.getByText('5 characters more').waitFor();
  await takeUp(page, invitation);
  await page.getByRole('button', { name: /^Passkey/ }).waitFor();
  expect(!page.url().includes(new URL(invitation).hash), 'the code is not left in the address');
  await page.getByRole('button', { name: /^Passkey/ }).click();
  await keepCodes(page);
  await arrives(page);

  await signOut(page);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await arrives(page);
  await signOut(page);
  // Beside the password it is asked for by itself.
  await knock(page, 'alice');
  await arrives(page);

  // The invitation counts once; whoever comes with it later is told so.
  const late = await another();
  await late.goto(invitation);
  await late.getByText('This invitation does not count').waitFor();
  expect((await late.locator('main, body').last().innerText()).includes('Ask whoever sent it for a new one'), 'what to do is said');
  await late.goto(`${origin}/invitation`);
  await late.getByText('the part behind the # is missing').waitFor();

  // An authenticator app.
  const phone = await another();
  await takeUp(phone, await invite('bob'));
  await phone.getByRole('button', { name: /^Authenticator app/ }).click();
  await phone.getByRole('img', { name: 'QR code for the authenticator app' }).waitFor();
  await phone.getByText('It cannot be scanned?').click();
  const secret = await phone.locator('details code').innerText();
  const wrong = totp(secret) === '000000' ? '000001' : '000000';
  await phone.getByLabel('Six digits').fill(wrong);
  await phone.locator('[id$="-error"]').waitFor();
  await phone.getByLabel('Six digits').fill(totp(secret));
  const codes = await keepCodes(phone);
  await arrives(phone);
  await signOut(phone);
  await knock(phone, 'bob');
  // A code counts once: the next one is that of half a minute later.
  await phone.getByLabel('Code from your authenticator app').fill(totp(secret, 1));
  await arrives(phone);

  // The phone is lost.
  const borrowed = await another();
  const recover = async (code) => {
    await borrowed.goto(`${origin}/sign-in`);
    await knock(borrowed, 'bob');
    await borrowed.getByRole('button', { name: 'Use a recovery code' }).click();
    await borrowed.getByLabel('Recovery code').fill(code);
    await borrowed.getByRole('button', { name: 'Go on' }).click();
  };
  await recover(codes[0]);
  await arrives(borrowed);
  await signOut(borrowed);
  await recover(codes[0]);
  await borrowed.locator('[id$="-error"]').waitFor();
  await recover(codes[1]);
  await arrives(borrowed);

  // All other browsers are signed out from this one, whatever page they look at.
  await borrowed.goto(`${origin}/me`);
  await borrowed.getByText(`${codes.length - 2} recovery codes left`).waitFor();
  await borrowed.getByRole('button', { name: 'Sign out elsewhere' }).click();
  await borrowed.getByRole('dialog').getByRole('button', { name: 'Sign out elsewhere' }).click();
  await borrowed.getByRole('dialog').waitFor({ state: 'detached' });
  expect((await borrowed.getByRole('button', { name: 'Sign out elsewhere' }).count()) === 0, 'this is the only browser left');
  await phone.getByRole('link', { name: 'Sessions' }).first().click();
  await phone.waitForURL('**/sign-in');
  await phone.getByText('You were signed out. Sign in again to go on.').waitFor();
  await borrowed.getByRole('link', { name: 'Nodes' }).first().click();
  await arrives(borrowed);
  await page.getByRole('link', { name: 'Sessions' }).first().click();
  await page.getByText('Nobody is in a session').waitFor();
});
