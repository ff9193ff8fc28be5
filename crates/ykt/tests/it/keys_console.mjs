// Drives the key management centre in Chromium: node keys_console.mjs URL PASSWORD
//
// For each language: three custodians and an administrator, each in a session of his own, hold a ceremony; one mistypes
// his component, one draws it and fetches its sheet, which comes once. The administrator asks to activate a key that
// came of it and cannot approve that himself, neither by the page nor past it; a second one approves. The auditor
// finds the refusal and the approval in the audit log and takes exactly what he sees home, and has the whole of it
// verified. Then a key administrator makes a group, hands it out, brings the exported file back, is told that its keys
// are here already, and loses nothing he typed when a form is refused.
import { createCipheriv, randomBytes } from "node:crypto";
import { fitsPhone, inBrowser, must, newPage, signIn } from "./browser.mjs";

const [url, password] = process.argv.slice(2);
// A refused form is answered with 422, which Chromium writes to its console.
const REFUSALS = /status of 4(03|22)/;
const CUSTODIANS = ["custodian1", "custodian2", "custodian3"];

// Each language makes a key of its own: version 2 in one, version 3 in the other.
const VERSIONS = { en: 2, zh: 3 };

// KCV of a 3DES component: the first three bytes of a zero block enciphered, by Node's OpenSSL.
function kcv(component) {
  const cipher = createCipheriv("des-ede", component, null).setAutoPadding(false);
  return cipher.update(Buffer.alloc(8)).subarray(0, 3).toString("hex").toUpperCase();
}

const form = (page, act) => page.locator(`form[action$="/${act}"]`);
const submit = (page, act) => form(page, act).locator("button").click();
const main = async (page) => (await page.locator("main").innerText()).replace(/\s+/g, " ");

// A group of keys goes out in a file and comes back; what is refused says why and keeps what was typed.
async function group(administrator, colleague, lang) {
  const name = `purse-${lang}`;
  await administrator.goto(`${url}/new-key-group`);
  await administrator.fill("#new-key-group-name", name);
  await administrator.fill("#new-key-group-title", "Purse keys");
  await administrator.fill("#new-key-group-keys", "purchase.1.1 lode.1.1");
  await submit(administrator, "new-key-group");
  const refusal = await administrator.locator('[role="alert"]').first().innerText();
  must(refusal.includes("lode.1.1"), `the refusal does not say what it found: ${refusal}`);
  must((await administrator.inputValue("#new-key-group-title")) === "Purse keys", "what was typed is lost");
  await administrator.fill("#new-key-group-keys", "purchase.1.1\nunload.1.1");
  await submit(administrator, "new-key-group");
  await administrator.waitForURL(`**/key-groups/${name}`);
  await administrator.fill("#export-party", "Dongcheng");
  await administrator.fill("#export-reason", "PSAMs of the neighbour city");
  await submit(administrator, "export");
  await administrator.waitForURL("**/key-requests/*");
  const request = administrator.url();
  await colleague.goto(request);
  await submit(colleague, "approve");
  const file = await (await administrator.request.get(`${request}/file`)).text();
  must(file.includes("\nkeys: 2\n"), `the file has not both keys: ${file}`);

  await administrator.goto(`${url}/import-keys`);
  await administrator.fill("#import-keys-party", "Dongcheng");
  const altered = Buffer.from(file.replace("unload,1,1", "unload,1,9"));
  const chosen = { name: "keys.txt", mimeType: "text/plain", buffer: altered };
  await administrator.setInputFiles('input[type="file"]', chosen);
  await submit(administrator, "import-keys");
  const told = await administrator.locator('[role="alert"]').first().innerText();
  must((await administrator.inputValue("#import-keys-text")).includes("unload,1,9"), "the file is lost");
  must((await administrator.inputValue("#import-keys-party")) === "Dongcheng", "the sender is lost");
  must(told.length > 10, "an altered file is refused without a word");
  await administrator.setInputFiles('input[type="file"]', { ...chosen, buffer: Buffer.from(file) });
  await submit(administrator, "import-keys");
  const shown = await main(administrator);
  must(shown.includes("unload.1.1") && shown.includes("Dongcheng"), `the file is not shown: ${shown}`);
  must((await form(administrator, "ask").count()) === 0, "keys that are here can be asked for again");
  await fitsPhone(administrator, url, [
    "/key-groups", `/key-groups/${name}`, "/import-keys", "/derive-keys", new URL(request).pathname,
  ]);
}

async function walk(browser, lang) {
  const version = VERSIONS[lang];
  const complaints = [];
  const person = async (name, path) => {
    const page = await newPage(browser, url, complaints, REFUSALS);
    await signIn(page, url, path, lang, name, password);
    return page;
  };

  // The ceremony begins.
  const administrator = await person("keys1", "/new-ceremony");
  await administrator.selectOption("#new-ceremony-purpose", "new");
  await administrator.fill("#new-ceremony-custodians", CUSTODIANS.join(" "));
  await administrator.fill("#new-ceremony-place", "Linjiang, room 3");
  await administrator.fill("#new-ceremony-key", `seed.1.${version}`);
  await administrator.fill("#new-ceremony-roots", "load,tac");
  await administrator.locator('form[action="/new-ceremony"] button').click();
  await administrator.waitForURL("**/ceremonies/*");
  const ceremony = new URL(administrator.url()).pathname;

  // The first two draw theirs; the third mistypes his, is told both check values, and types it again.
  const [first, second, third] = await Promise.all(CUSTODIANS.map((name) => person(name, ceremony)));
  for (const page of [first, second]) {
    await submit(page, "draw");
    must((await form(page, "draw").count()) === 0, "a component can be drawn twice");
  }
  const component = randomBytes(16);
  await third.fill("#give-component", component.toString("hex"));
  await third.fill("#give-kcv", "000000");
  await submit(third, "give");
  const refusal = await third.locator('[role="alert"]').first().innerText();
  must(refusal.includes("000000") && refusal.includes(kcv(component)), `not both check values: ${refusal}`);
  must((await third.inputValue("#give-component")) === "", "a mistyped component is shown again");
  await third.fill("#give-component", component.toString("hex"));
  await third.fill("#give-kcv", kcv(component));
  await submit(third, "give");
  must((await main(third)).includes(kcv(component)), "the check value of the component is not shown");
  must(!(await third.content()).toLowerCase().includes(component.toString("hex")), "the component is shown");

  // The sheets of what was drawn come once.
  for (const page of [first, second]) {
    await page.goto(url + ceremony);
    await submit(page, "sheet");
    await page.waitForLoadState("load");
    must((await page.locator("html").innerText()).length > 200, "the sheet is empty");
    await page.goto(url + ceremony);
    must((await form(page, "sheet").count()) === 0, "a sheet is handed out twice");
  }

  // The end, and its protocol.
  await administrator.goto(url + ceremony);
  await submit(administrator, "finish");
  const protocol = await administrator.request.get(`${url}${ceremony}/protocol`);
  const text = await protocol.text();
  must(text.includes(`seed`) && text.includes(kcv(component)), "the protocol tells neither key nor components");
  must(!text.toLowerCase().includes(component.toString("hex")), "the protocol gives a component away");

  // Activation is asked for by one person and done by two.
  const key = `/keys/load.1.${version}`;
  await administrator.goto(url + key);
  await form(administrator, "activate").locator("textarea").fill(`Version ${version} comes into use`);
  await submit(administrator, "activate");
  await administrator.waitForURL("**/key-requests/*");
  const request = new URL(administrator.url()).pathname;
  must((await form(administrator, "approve").count()) === 0, "one's own request has a button to approve");
  const csrf = await form(administrator, "withdraw").locator('[name="csrf"]').inputValue();
  const past = await administrator.request.post(`${url}${request}/approve`, { form: { csrf } });
  must(past.status() === 422 && (await past.text()).includes("keys1"), `self-approval got ${past.status()}`);

  const colleague = await person("keys2", request);
  must((await form(colleague, "approve").count()) === 1, "the second person cannot approve");
  await submit(colleague, "approve");
  await colleague.goto(url + key);
  const life = await main(colleague);
  must(life.includes("keys1") && life.includes("keys2"), `the key's life does not name both: ${life}`);
  must((await form(colleague, "activate").count()) === 0, "an active key can be activated");
  must((await form(colleague, "retire").count()) === 1, "an active key cannot be retired");
  await colleague.goto(`${url}/keys/load.1.${version - 1}`);
  must((await form(colleague, "restore").count()) === 1, "the earlier key was not retired");
  await fitsPhone(colleague, url, ["/keys", key, request, ceremony, "/vault", "/campaigns", "/key-requests"]);

  // The auditor finds both, and takes home what he sees.
  const auditor = await person("auditor", "/audit");
  await auditor.fill("#f-text", new URL(request, url).pathname.split("/").pop());
  await auditor.click(".filters button.primary");
  const rows = (await auditor.locator("tbody tr").allInnerTexts()).map((row) => row.split("\t"));
  const of = (who, what) => rows.filter(([, , name, word]) => name === who && word === what);
  const [asked, refused, approved] = [
    of("keys1", "request/ask"),
    of("keys1", "request/approve"),
    of("keys2", "request/approve"),
  ];
  const counts = [asked, refused, approved].map((found) => found.length);
  must(counts.every((count) => count === 1), `${counts}: ${rows.join(" | ")}`);
  must(refused[0][4] !== approved[0][4], "the refusal ended as the approval did");
  // Reading is written down, too: the file has what the page shows, and the reading of the page itself.
  const csv = await auditor.request.get(url + (await auditor.locator('a[href*=".csv"]').getAttribute("href")));
  const lines = (await csv.text()).trim().split("\r\n");
  must(lines.length === rows.length + 2, `${lines.length} lines of CSV for ${rows.length} records`);
  for (const [number] of rows) {
    must(lines.some((line) => line.startsWith(`${number},`)), `record ${number} is not in the file`);
  }
  // A look claims what was read; the whole is read when told to.
  await auditor.goto(`${url}/audit-chain`);
  await submit(auditor, "verify");
  await auditor.waitForURL("**/audit-chain");
  must((await auditor.locator(".head .tag.good").count()) === 1, "the log is not whole");

  await group(administrator, colleague, lang);
  must((await administrator.goto(`${url}/audit`)).status() === 403, "an administrator reads the audit log");

  must(complaints.length === 0, complaints.join("\n"));
  console.log(`${lang}: ceremony, activation, audit ok`);
}

await inBrowser(async (browser) => {
  for (const lang of Object.keys(VERSIONS)) await walk(browser, lang);
});
