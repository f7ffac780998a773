// Checks the operator's page in Chromium: node check.mjs COUNT=ADDRESS..., where each address serves a page of that many
// policies. JavaScript of the page is off, as for a reader without it. tests/page/run starts this.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inPage } from './in-page.mjs';

const require = createRequire(`${process.env.PAGE_TOOLS}/package.json`);
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const SHOTS = 'out/screenshots';
const SCHEMES = ['light', 'dark'];
// A desktop, a tablet and a phone. Then the widths around which cards become a table, and that of WCAG's reflow.
const WIDTHS = [1280, 768, 360];
const MORE_WIDTHS = [1920, 1153, 1152, 1024, 480, 320];
// The most pixels of a screenshot: 300 policies on a phone would be taller than a GPU allows.
const TALLEST = 4000;
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const COLUMNS = ['Policy', 'State', 'Recovery point', 'Size', 'Backups', 'Next backup', 'Last runs'];
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const faults = [];
const fault = (where, ...what) => faults.push(`${where}: ${what.join(' ')}`);
const expect = (where, good, ...what) => { if (!good) fault(where, ...what); };

async function open(browser, address, options, where) {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  const page = await context.newPage();
  page.on('console', (message) => fault(where, 'console message:', message.text()));
  page.on('pageerror', (error) => fault(where, 'error:', error.message));
  page.on('request', (request) => {
    expect(where, new URL(request.url()).origin === new URL(address).origin, 'requests another origin:', request.url());
  });
  const answer = await page.goto(address);
  expect(where, answer.status() === 200, 'has the status', answer.status());
  await page.evaluate(inPage);
  return page;
}

// Layout and contrast: no element overflows, and all text is readable.
async function checkLooks(browser, count, address, scheme) {
  for (const width of WIDTHS) {
    const where = `${count} policies, ${scheme}, ${width} px`;
    const options = { colorScheme: scheme, viewport: { width, height: 900 }, isMobile: width < 500 };
    const page = await open(browser, address, options, where);
    for (const text of await page.evaluate(() => inPage.overflows())) fault(where, text);
    const { faults: pale, texts } = await page.evaluate(() => inPage.pale());
    for (const text of pale) fault(where, text);
    expect(where, texts >= (count ? count * 8 : 4), 'only', texts, 'texts were checked');
    const height = Math.min(TALLEST, await page.evaluate(() => Math.ceil(document.body.getBoundingClientRect().bottom)));
    await page.screenshot({
      path: `${SHOTS}/${count}-${scheme}-${width}.png`, fullPage: true, clip: { x: 0, y: 0, width, height },
    });
    await page.context().close();
    // axe takes seconds for 300 rows, so those are checked once as a table and once as cards.
    if (count < 300 || (scheme === 'light') === (width === 1280) && width !== 768) {
      await checkRules(browser, address, options, where);
    }
  }
}

// axe needs timers, which do not run without JavaScript, so it gets the same page with JavaScript on.
async function checkRules(browser, address, options, where) {
  const page = await open(browser, address, { ...options, javaScriptEnabled: true }, where);
  expect(where, await page.locator('script').count() === 0, 'the page has a script, so the check with JavaScript is not the same');
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate((values) => axe.run({ runOnly: { type: 'tag', values } }), RULES);
  for (const { id, help, nodes } of violations) {
    fault(where, `axe: ${id}: ${help}:`, nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' ... '));
  }
  expect(where, passes.some(({ id }) => id === 'color-contrast'), 'axe checked nothing');
  await page.context().close();
}

async function checkWidths(browser, count, address) {
  const page = await open(browser, address, {}, `${count} policies`);
  for (const width of MORE_WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const text of await page.evaluate(() => inPage.overflows())) fault(`${count} policies, ${width} px`, text);
  }
  await page.context().close();
}

// What a screen reader gets: Chromium's accessibility tree.
async function checkAccessibilityTree(browser, count, address, width) {
  const where = `${count} policies, accessibility tree at ${width} px`;
  const page = await open(browser, address, { viewport: { width, height: 900 } }, where);
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const exposed = nodes.filter((node) => !node.ignored);
  const names = (role) => exposed.filter((node) => node.role?.value === role).map((node) => node.name?.value ?? '');
  const title = await page.title();
  expect(where, names('heading').join() === title.replace(' - pgbackup', ''), 'headings:', names('heading'));
  expect(where, names('main').length === 1 && names('banner').length === 1, 'has no header or no main element');
  const tables = count ? 'Backup policies, unhealthy ones first' : '';
  expect(where, names('table').join() === tables, 'tables:', names('table'));
  expect(where, names('columnheader').join() === (count ? COLUMNS.join() : ''), 'columns:', names('columnheader'));
  const rows = names('rowheader');
  expect(where, rows.length === count && rows.every(Boolean), rows.length, 'rows with a header');
  expect(where, names('cell').length === count * 6, names('cell').length, 'cells');
  const images = [...names('image'), ...names('img')];
  expect(where, images.every((name) => /^size of the last \d+ backups: from .+ to .+$/.test(name)), 'images:', images);
  expect(where, images.length >= count / 2, 'only', images.length, 'plots');
  expect(where, names('link').every(Boolean), 'a link without a name');
  await page.context().close();
}

// The page shows the same as the API.
async function checkAgainstApi(browser, count, address) {
  const where = `${count} policies`;
  const { policies } = await (await fetch(new URL('api/v1/policies', address))).json();
  const page = await open(browser, address, {}, where);
  const rows = await page.evaluate(() => inPage.rows());
  expect(where, policies.length === count && rows.length === count, 'there are', rows.length, 'rows');
  const rank = ['Unhealthy', 'Unknown', 'Suspended', 'Healthy'];
  const ranks = rows.map((row) => rank.indexOf(row.state));
  expect(where, ranks.every((at, row) => at >= Math.max(0, ranks[row - 1] ?? 0)), 'the order of states is', ranks);
  const seen = new Set(ranks);
  expect(where, count < 300 || seen.size === 4, 'not all states are there:', [...seen]);
  let exceeded = 0, unverifiedCount = 0;
  for (const policy of policies) {
    const row = rows.find((row) => row.name === policy.name && row.namespace === policy.namespace);
    const here = `${where}: ${policy.namespace}/${policy.name}`;
    if (!row) { fault(here, 'is missing'); continue; }
    expect(here, row.state === policy.state, 'is', policy.state, 'but shown as', row.state);
    const unhealthy = policy.state === 'Unhealthy';
    expect(here, row.loud === unhealthy, row.loud ? 'stands out, but is not unhealthy' : 'is unhealthy, but does not stand out');
    expect(here, policy.state === 'Healthy' || row.text.includes(policy.message.replace(/\s+/g, ' ')), 'has no message:', row.text);
    const unverified = Boolean(policy.lastSuccess)
      && !(Date.parse(policy.lastVerifiedTime) >= Date.parse(policy.lastSuccess.snapshotTime));
    unverifiedCount += unverified;
    expect(here, row.text.includes('newest backup,') === unverified, 'newest backup:', row.text);
    for (const check of [policy.retention, policy.scrub]) {
      expect(here, check?.state !== 'Unhealthy' || row.text.includes(check.message.replace(/\s+/g, ' ')), 'has no message of', check?.reason, row.text);
    }
    // maxAge applies to the newest verified backup if the newest backup is corrupted.
    const corrupted = policy.lastSuccess?.verification === 'Corrupted';
    const taken = corrupted ? policy.lastVerifiedTime : policy.lastSuccess?.snapshotTime;
    if (!policy.maxAgeSeconds || !taken) continue;
    const old = (Date.now() - Date.parse(taken)) / 1000 > policy.maxAgeSeconds;
    exceeded += old;
    expect(here, row.text.includes(`maxAge ${policy.maxAge}`), 'has no maxAge:', row.text);
    expect(here, row.text.includes('too old') === old, old ? 'is too old, but not marked' : 'is marked too old, but is not');
  }
  expect(where, count < 300 || unverifiedCount > 0, 'no newest backup is unverified, so that was not checked');
  expect(where, !count || exceeded > 0, 'no backup is too old, so that was not checked');
  await page.context().close();
}

// By keyboard: Tab reaches each link in turn, the focus is visible, and Enter follows the link.
async function checkKeyboard(browser, count, address, width) {
  const where = `${count} policies, by keyboard at ${width} px`;
  const page = await open(browser, address, { viewport: { width, height: 900 } }, where);
  const { wanted, unreachable } = await page.evaluate(() => inPage.focusable());
  for (const element of unreachable) fault(where, 'scrolls, but has no keyboard focus:', element);
  const reached = [];
  for (const _ of wanted) {
    await page.keyboard.press('Tab');
    const { name, outline, covered } = await page.evaluate(() => inPage.focused());
    reached.push(name);
    expect(where, outline >= 2, name, 'does not show its focus');
    expect(where, !covered, name, 'has the focus but is covered');
  }
  expect(where, wanted.length > 1 && reached.join() === wanted.join(), 'Tab reaches', reached, 'not', wanted);
  if (count) {
    // The last link jumps to the last group.
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => url.hash !== '');
    const top = await page.evaluate(() => inPage.topOfTarget());
    expect(where, top !== null && top >= 0 && top < 900, 'the link to a group scrolls to', top);
  }
  await page.context().close();
}

// The live page refreshes itself every minute, and the reader can stop that.
async function checkLive(browser, address) {
  const where = 'live page';
  const page = await open(browser, address, {}, where);
  const refresh = () => page.evaluate(() => document.querySelector('meta[http-equiv=refresh]')?.content);
  expect(where, await refresh() === undefined, 'the page refreshes itself before it is asked to');
  await Promise.all([page.waitForURL('**/?live'), page.getByRole('link', { name: 'Refresh every minute' }).click()]);
  expect(where, await refresh() === '60', 'does not refresh itself');
  await Promise.all([page.waitForURL('**/?'), page.getByRole('link', { name: 'Stop refreshing' }).click()]);
  expect(where, await refresh() === undefined, 'refreshing does not stop');
  await page.context().close();
}

// Longer than the checks take on a busy machine.
setTimeout(() => { console.error('timeout: the checks did not end within 10 minutes'); process.exit(1); }, 600_000).unref();
mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: ARGS });
try {
  const off = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await off.goto('data:text/html,<title>off</title><script>document.title = "on"</script>');
  expect('the browser', await off.title() === 'off', 'runs JavaScript, although it is off');

  const pages = process.argv.slice(2).map((page) => page.split(/=(.*)/));
  expect('the test', pages.length === 3, 'has', pages.length, 'pages');
  for (const [number, address] of pages) {
    const count = Number(number);
    const started = performance.now();
    for (const scheme of SCHEMES) await checkLooks(browser, count, address, scheme);
    await checkWidths(browser, count, address);
    for (const width of [1280, 360]) {
      await checkAccessibilityTree(browser, count, address, width);
      await checkKeyboard(browser, count, address, width);
    }
    await checkAgainstApi(browser, count, address);
    console.log(`${count} policies: checked in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  await checkLive(browser, pages[1][1]);
} finally {
  await browser.close();
}
for (const line of faults.slice(0, 60)) console.error(line);
console.log(`${faults.length} faults; screenshots are in ${SHOTS}`);
process.exitCode = faults.length ? 1 : 0;
