#!/usr/bin/python3
"""A personalisation line of somebody else's making (docs/key-download.md): it asks the centre over TLS, drives cards by
bare commands made from the profile (docs/profiles.md), and knows too much: it opens every command that comes from the
centre with keys of its own derivation, and uses the finished cards with them.

Usage: line.py <TOLD.json: `port` of the centre, `vault` and `unlock` as for sealed.py, the text of the `profile`, the
`batch`, blank `chips` and the program `ykt` that serves them. Certificates are ca.pem, line.pem and stranger.pem. Prints
what was opened, and how often each kind of key was checked.
"""

import json
import ssl
import sys
import tomllib
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path

import purse
from ciphers import city_factor, expect, smac, xor
from key import SM4, TDES, decipher, encipher, holders_key, message_mac, padded
from sealed import open_file, unlock_of
from slot import Slot

PIN = bytes.fromhex("123456")
USAGE = {
    **{"card-master": 0x39, "application-master": 0x39, "card-maintenance": 0x36, "application-maintenance": 0x36},
    **{"purchase": 0x3E, "load": 0x3F, "tac": 0x34, "internal-authentication": 0x34, "grey-unlock": 0x3B},
    **{"pin-unblock": 0x37, "pin-reload": 0x38},
}
EF_TYPES = {"create-binary": 0x28, "create-fixed": 0x2A, "create-variable": 0x2C, "create-cyclic": 0x2E}
PROTECTIONS = {"plain": 0x00, "mac": 0x80, "enciphered-mac": 0xC0}


class Centre:
    """The service, asked under one client certificate."""

    def __init__(self, port, name):
        context = ssl.create_default_context(cafile="ca.pem")
        if name:
            context.load_cert_chain(f"{name}.pem", f"{name}.key")
        self.line = HTTPSConnection("localhost", port, context=context, timeout=60)

    def ask(self, path, body=None, status=200):
        method = "GET" if body is None else "POST"
        kind = "application/json" if not isinstance(body, str) else "text/csv"
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        self.line.request(method, f"/download/v1/{path}", text, {"content-type": kind})
        answer = self.line.getresponse()
        said = answer.read().decode()
        expect(f"status of {path}, {said}", status, answer.status)
        return json.loads(said)

    def refuse(self, path, body, status, code):
        expect(f"refusal of {path} {body}", code, self.ask(path, body, status)["code"])


# --- What a line makes by itself, from the profile ---


def code(text):
    return bytes.fromhex(text)


def create(step):
    """CREATE FILE (docs/cards/files.md)."""
    kind = step["do"]
    if kind == "create-application":
        rights = code(step["create"]) + code(step.get("erase", "EF")) + code(step.get("app_id", "95"))
        data = b"\x38" + step["size"].to_bytes(2, "big") + rights + b"\xff\xff" + code(step["aid"])
    elif kind == "create-keys":
        data = b"\x3f" + step["size"].to_bytes(2, "big") + code(step.get("df_sfi", "95") + step["add"]) + b"\xff\xff"
    elif kind == "create-purse":
        rights = code(step.get("usage", "F0") + step.get("change", "00"))
        data = b"\x2f\x02\x08" + rights + b"\xff" + code(step["log"])
    else:
        size = step["size"].to_bytes(2, "big") if "size" in step else bytes([step["count"], step["len"]])
        rights = code(step.get("read", "F0") + step.get("write", "F0"))
        kind = EF_TYPES[kind] | PROTECTIONS[step.get("protection", "plain")]
        data = bytes([kind]) + size + rights + b"\xff" + code(step.get("access", "FF"))
    return b"\x80\xe0" + code(step.get("fid", "0000")) + bytes([len(data)]) + data


def own_command(step):
    if step["do"] == "select":
        return b"\x00\xa4\x00\x00\x02" + code(step["fid"])
    return create(step)


def content(step, card):
    """The bytes that only the line has."""
    if step["do"] == "write-pin":
        return PIN
    if "hex" in step:
        return code(step["hex"].replace(" ", "")).ljust(step.get("len", 0), b"\x00")
    city, dates = card.factor[:2], code("20261122" + "20361231")
    public = city + city + code("0001000001010001") + card.number + dates + code("0000")
    holder = code("0000") + b"LI SI".ljust(20, b"\x00") + b"320102199001010011".ljust(16, b"\x00")[:16] + code("00")
    return {"public-data": public, "holder-data": holder, "authentication-code": b""}[step["content"]]


# --- What must come from the centre ---


def name_of(key):
    kind, index, version = (key.split("/") + ["1", "1"])[:3] if "/" in key else (key, "1", "1")
    return kind, int(index), int(version)


class Card:
    """A card on the line, with the keys that it ought to get."""

    def __init__(self, opened, slot, keys, levels):
        self.id, self.slot = opened["id"], slot
        self.number, self.factor = code(opened["card"]), code(opened["factor"])
        self.keys, self.levels = keys, levels

    def key(self, name):
        """Algorithm and value."""
        return holders_key(self.keys, self.levels, name_of(name), self.factor, self.number)

    def written(self, step, iv, command):
        """Checks a WRITE KEY of the centre: header, MAC under the control key, header of the key, the key itself."""
        control = self.key(step["control"])
        if step["do"] == "write-pin":
            usage, value = 0x3A, PIN.ljust(6, b"\xff")
            attributes = bytes([0, len(PIN), usage, 0xF0])
        else:
            usage, (algorithm, value) = USAGE[name_of(step["key"])[0]], self.key(step["key"])
            attributes = bytes([name_of(step["key"])[2], algorithm, usage]) + code(step.get("use_right", "F0"))
        attributes += code(step.get("follow_up", "00") + step.get("change_right", "F0") + step.get("tries", "33"))
        header = bytes([0x84, 0xD4, 0x80 | step["id"], usage])
        message, mac = command[:-4], command[-4:]
        expect("MAC of a WRITE KEY", message_mac(*control, iv, message), mac)
        expect("head of a WRITE KEY", header + bytes([len(command) - 5]), message[:5])
        plain = attributes + value
        plain = padded(control[0], bytes([len(plain)]) + plain)
        expect(f"what {step['title']} brings", plain, decipher(*control, message[5:]))

    def brought(self, step, iv, data, command):
        """Checks a change of a file under secure messaging."""
        if step.get("content") == "authentication-code":
            signed = b"\x01" + self.number[4:]
            data = signed + smac(self.key("authentication-code")[1], bytes(8), signed)
        sfi = code(step["fid"])[1] & 0x1F
        header = bytes([0x04, 0xE2, 0, sfi << 3] if step.get("record") == "new" else [0x04, 0xD6, 0x80 | sfi, 0])
        message = header + bytes([len(data) + 4]) + data
        mac = message_mac(*self.key(step["key"]), iv, message)
        expect(f"what {step['title']} brings", message + mac, command)

    def check(self, step, challenge, data, command):
        iv = challenge.ljust(8, b"\x00")
        if step["do"] == "authenticate":
            algorithm, value = self.key(step["key"])
            # SM4 enciphers a block of sixteen, of which half is sent.
            cryptogram = encipher(algorithm, value, iv if algorithm == TDES else iv.ljust(16, b"\x00"))[:8]
            expect("EXTERNAL AUTHENTICATE", bytes([0, 0x82, 0, step["id"], 8]) + cryptogram, command)
        elif step["do"] == "write":
            self.brought(step, iv, data, command)
        else:
            self.written(step, iv, command)


def personalise(centre, cards, steps):
    checked = {}
    for number, step in enumerate(steps, start=1):
        if step["do"] == "select" or step["do"].startswith("create"):
            for card in cards:
                card.slot.ask(own_command(step))
            continue
        long = "0084000008" if step["do"] == "authenticate" else "0084000004"
        asked = []
        for card in cards:
            challenge, data = card.slot.ask(long), b"" if step["do"] in ("write-key", "authenticate") else content(step, card)
            asked.append((card, challenge, data))
        body = [
            {"card": card.id, "step": number, "challenge": challenge.hex(), "data": data.hex()}
            for card, challenge, data in asked
        ]
        ready = centre.ask("commands", {"commands": body})["commands"]
        for (card, challenge, data), command in zip(asked, ready):
            command = code(command["command"])
            card.check(step, challenge, data, command)
            card.slot.ask(command)
        what = step["do"] if step["do"] != "write-key" else name_of(step["key"])[0]
        checked[what] = checked.get(what, 0) + len(cards)
    return checked


def use(card, steps):
    """Loads and pays as terminals do that have the keys."""
    names = {name_of(step["key"])[0]: step["key"] for step in steps if step["do"] == "write-key"}
    keys = {kind: card.key(names[kind]) for kind in ("load", "purchase", "tac")}
    expect("factor", city_factor(card.factor[:2]), card.factor)
    card.slot.ask("00A4040009" + purse.CITY_APPLICATION.hex())
    card.slot.ask("0020000003" + PIN.hex())
    if keys["load"][0] == SM4:
        return load_by_sm4(card.slot, keys["load"][1], keys["tac"][1])
    keys = {kind: value for kind, (_, value) in keys.items()}
    own = purse.Purse(card.slot, purse.CITY_APPLICATION, keys, card.factor, card.number)
    purse.load(own, 3000)
    purse.purchase(own, purse.OwnSam(), 120)
    expect("balance", 2880, own.balance())


def load_by_sm4(card, load_key, tac_key):
    """A load in SM4 (docs/cards/purse.md)."""

    def mac(key, data):
        return message_mac(SM4, key, b"", data)

    amount, terms = purse.money(3000), purse.money(3000) + b"\x02" + purse.LOAD_TERMINAL
    answer = card.ask(bytes.fromhex("805000020B01") + amount + purse.LOAD_TERMINAL + b"\x10")
    balance, counter, random = answer[:4], answer[4:6], answer[8:12]
    expect("algorithm of the load", 0x04, answer[7])
    begin = random + counter + b"\x80\x00"
    session = encipher(SM4, load_key, begin + xor(begin, b"\xff" * 8))
    expect("MAC1 of the load", mac(session, balance + terms), answer[12:])
    credit = bytes.fromhex("805200000B") + purse.MOMENT + mac(session, terms + purse.MOMENT)
    expect("TAC of the load", mac(tac_key, amount + counter + terms + purse.MOMENT), card.ask(credit + b"\x04"))


def be_refused(centre, told, application, cards, steps):
    """What no line may do, in the words of docs/errors.md."""
    one = {"card": cards[0].id, "step": 2, "challenge": "01020304"}

    def of_card(**fields):
        return centre.ask("commands", {"commands": [one | fields]})["commands"][0]["code"]

    public = next(at for at, step in enumerate(steps, start=1) if step.get("content") == "public-data")
    another = content(steps[public - 1], cards[1]).hex()
    expect("a card that is not open", "not-open", of_card(card=999_999))
    expect("a step without a key", "step-refused", of_card(step=1))
    expect("a step that is none", "step-refused", of_card(step=len(steps) + 1))
    expect("data where there are none", "step-refused", of_card(data="00"))
    expect("another card's number", "step-refused", of_card(step=public, data=another))
    opening = {"operation": f"{application}-3", "application": application, "batch": told["batch"], "next": 1}
    centre.refuse("cards", opening | {"application": "bank"}, 404, "unknown-application")
    centre.refuse("cards", opening | {"batch": "none"}, 404, "unknown-batch")
    centre.refuse("cards", opening | {"operation": f"{application}-1"}, 409, "operation-reused")
    centre.refuse("cards", opening | {"next": 257}, 422, "cards-per-call")
    centre.refuse("cards", opening | {"next": 1}, 422, "quota-used")
    centre.refuse("cards", opening | {"key": "load"}, 400, "bad-call")
    centre.refuse("commands", {"commands": [one | {"challenge": "0102"}]}, 400, "bad-call")
    stranger = Centre(told["port"], "stranger")
    for path, body in [("applications", None), ("commands", {"commands": [one]})]:
        stranger.refuse(path, body, 403, "unknown-line")
    try:
        Centre(told["port"], None).ask("applications")
        raise SystemExit("somebody without a certificate is let in")
    except (ssl.SSLError, ConnectionError):
        pass


def main():
    told = json.load(sys.stdin)
    _, levels, keys = open_file(Path(told["vault"]).read_bytes(), unlock_of(told["unlock"]))
    profile = tomllib.loads(told["profile"])
    application, steps = profile["name"], profile["step"]
    centre = Centre(told["port"], "line")
    offered = next(one for one in centre.ask("applications") if one["name"] == application)
    expect("steps", [step["title"] for step in steps], [step["title"] for step in offered["steps"]])
    needs_key = [not (step["do"] == "select" or step["do"].startswith("create")) for step in steps]
    expect("steps with a key", needs_key, [step["key"] for step in offered["steps"]])

    opening = {"operation": f"{application}-1", "application": application, "batch": told["batch"], "next": len(told["chips"])}
    opened = centre.ask("cards", opening)
    expect("the same call again", opened, centre.ask("cards", opening))
    expect("refused cards", [], opened["refused"])
    with ExitStack() as slots:
        chips = [slots.enter_context(Slot(told["ykt"], "card", chip)) for chip in told["chips"]]
        cards = [Card(one, chip, keys, levels) for one, chip in zip(opened["open"], chips)]
        be_refused(centre, told, application, cards, steps)
        checked = personalise(centre, cards, steps)
        for card in cards:
            use(card, steps)
    finish = {"cards": [{"card": cards[0].id}, {"card": cards[1].id, "failed": "thrown away at the end"}]}
    for _ in range(2):
        expect("endings", {"cards": [None, None]}, centre.ask("finish", finish))
    progress = centre.ask(f"batches/{told['batch']}")
    again = {"operation": f"{application}-2", "application": application, "batch": told["batch"]}
    numbers = [{"card": one["card"], "factor": one["factor"]} for one in opened["open"]]
    verdicts = centre.ask("cards", again | {"cards": numbers})
    print(json.dumps({"opened": opened["open"], "checked": checked, "progress": progress, "again": verdicts}))


if __name__ == "__main__":
    main()
