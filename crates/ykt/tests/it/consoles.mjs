// Drives the consoles in Chromium: node consoles.mjs URL NAME PASSWORD
//
// For each language: sign in, find a refused record and read its reason, open a bill, follow a figure to the
// records that sum to it, walk a record's way back to the bill, take the list home as CSV, and sign out. Nothing may
// be asked of another host, no script may complain, and nothing may stick out sideways on a phone.
import { chromium } from "playwright-core";

const [url, name, password] = process.argv.slice(2);
const WORDS = {
  en: { reason: "Cause", total: "Total", signOut: "Sign out" },
  zh: { reason: "原因", total: "合计", signOut: "退出登录" },
};

function must(truth, words) {
  if (!truth) throw new Error(words);
}

async function walk(browser, lang) {
  const words = WORDS[lang];
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked of another host: ${request.url()}`);
  });

  // Sign in; the page asked for first is the page shown.
  await page.goto(`${url}/refusals?lang=${lang}`);
  must(page.url().includes("/sign-in?back="), `no sign-in at ${page.url()}`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("button.primary");
  await page.waitForURL("**/refusals**");
  must((await page.locator("html").getAttribute("lang")).startsWith(lang), "the language is not remembered");

  // A refused record and its reason.
  await page.selectOption("#f-verdict", "refused");
  await page.click(".filters button.primary");
  must(page.url().includes("verdict=refused") && !page.url().includes("card="), `filter in ${page.url()}`);
  must((await page.locator("thead").innerText()).includes(words.reason), "no column of causes");
  const cause = (await page.locator("tbody tr").first().locator(".hint").innerText()).trim();
  await page.locator('tbody tr a[href^="/records/"]').first().click();
  const note = await page.locator("main .note").first().innerText();
  must(note.includes(cause), `the record says "${note}", the list says "${cause}"`);

  // A bill, one of its figures, and the records that sum to it.
  await page.click('.nav a[href="/bills"]');
  await page.locator('tbody th a[href^="/bills/"]').last().click();
  const bill = new URL(page.url()).pathname;
  const figure = page.locator("a.figure").first();
  const amount = (await figure.locator(".value").innerText()).trim();
  const count = (await figure.locator(".note").innerText()).match(/[\d,]+/)[0];
  await figure.click();
  const foot = await page.locator("tfoot").innerText();
  must(foot.includes(words.total) && foot.split(/\s+/).includes(amount), `${amount} is not the total: ${foot}`);
  must((await page.locator(".count").innerText()).includes(count), `${count} is not the number of records`);
  const rows = await page.locator("tbody tr").count();
  must(rows === Math.min(Number(count.replace(",", "")), 50), `${rows} rows of ${count}`);

  // The list as a file is the list.
  const csv = await page.request.get(url + (await page.locator('a[href*=".csv"]').getAttribute("href")));
  const lines = (await csv.text()).trim().split("\r\n");
  must(lines.length === Number(count.replace(",", "")) + 2, `${lines.length} lines of CSV for ${count} records`);

  // A record's way leads back to the bill.
  await page.locator('tbody tr a[href^="/records/"]').first().click();
  await page.locator(`.way a[href="${bill}"]`).click();
  must(new URL(page.url()).pathname === bill, `the way led to ${page.url()}`);

  // Keyboard: "/" searches.
  await page.waitForLoadState("load");
  await page.keyboard.press("/");
  must(await page.evaluate(() => document.activeElement.id === "search"), '"/" does not reach the search');
  await page.keyboard.type(bill.replace("/bills/", ""));
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${bill}`);

  // The theme changes at once and stays.
  const theme = () => page.locator("html").getAttribute("data-theme");
  const before = await theme();
  await page.click("[data-theme-next]");
  const after = await theme();
  must(before !== after, "the theme does not change");
  await page.reload();
  must((await theme()) === after, "the theme is not remembered");

  // On a phone nothing sticks out sideways.
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of ["/", "/cards", "/records", bill, "/trial", "/system"]) {
    await page.goto(url + path);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    must(over <= 0, `${path} is ${over} px too wide for a phone`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });

  await page.click(".who summary");
  await page.getByRole("button", { name: words.signOut }).click();
  await page.waitForURL("**/sign-in");
  await page.goto(`${url}/cards`);
  must(page.url().includes("/sign-in"), "still signed in");
  must(complaints.length === 0, complaints.join("\n"));
  await context.close();
  console.log(`${lang}: all ways ok`);
}

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
  for (const lang of Object.keys(WORDS)) await walk(browser, lang);
} finally {
  await browser.close();
}
