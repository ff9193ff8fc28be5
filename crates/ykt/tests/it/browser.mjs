// What the scripts that drive the consoles share: the browser, people who sign in, and what no page may do.
import { chromium } from "playwright-core";

// Fails with words unless `truth`.
export function must(truth, words) {
  if (!truth) throw new Error(words);
}

// Runs `work` with a browser, and ends it however the work ends.
export async function inBrowser(work) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

// A page in a session of its own. Nothing may be asked of another host, and no script may complain; what they do
// wrong is gathered in `complaints`, but for answers that `refusals` allows.
export async function newPage(browser, url, complaints, refusals = /$^/) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" && !refusals.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked of another host: ${request.url()}`);
  });
  return page;
}

// Signs in and comes to `path`.
export async function signIn(page, url, path, lang, name, password) {
  await page.goto(`${url}${path}?lang=${lang}`);
  must(page.url().includes("/sign-in?back="), `no sign-in at ${page.url()}`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("button.primary");
  await page.waitForURL(`**${path}**`);
  must((await page.locator("html").getAttribute("lang")).startsWith(lang), "the language is not remembered");
}

// On a phone nothing sticks out sideways.
export async function fitsPhone(page, url, paths) {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of paths) {
    await page.goto(url + path);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    must(over <= 0, `${path} is ${over} px too wide for a phone`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}
