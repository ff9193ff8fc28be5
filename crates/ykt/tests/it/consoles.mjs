// Drives the consoles in Chromium: node consoles.mjs URL NAME PASSWORD
//
// For each language: sign in, find a refused record and read its reason, open a bill, follow a figure to the
// records that sum to it, walk a record's way back to the bill, take the list home as CSV, and sign out. Nothing may
// be asked of another host, no script may complain, and nothing may stick out sideways on a phone.
import { fitsPhone, inBrowser, must, newPage, signIn } from "./browser.mjs";

const [url, name, password] = process.argv.slice(2);
const WORDS = {
  en: { reason: "Cause", total: "Total", signOut: "Sign out" },
  zh: { reason: "原因", total: "合计", signOut: "退出登录" },
};

async function walk(browser, lang) {
  const words = WORDS[lang];
  const complaints = [];
  const page = await newPage(browser, url, complaints);
  // The page asked for first is the page shown.
  await signIn(page, url, "/refusals", lang, name, password);

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

  await fitsPhone(page, url, ["/", "/cards", "/records", bill, "/trial", "/system"]);

  await page.click(".who summary");
  await page.getByRole("button", { name: words.signOut }).click();
  await page.waitForURL("**/sign-in");
  await page.goto(`${url}/cards`);
  must(page.url().includes("/sign-in"), "still signed in");
  must(complaints.length === 0, complaints.join("\n"));
  await page.context().close();
  console.log(`${lang}: all ways ok`);
}

await inBrowser(async (browser) => {
  for (const lang of Object.keys(WORDS)) await walk(browser, lang);
});
