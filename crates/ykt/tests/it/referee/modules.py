#!/usr/bin/python3
"""Judges a PSAM and a key card by what passed while they were made, and by their own answers (docs/cards/psam.md,
docs/cards/key-card.md, docs/keys.md).

Usage: modules.py <TOLD.json: `vault` and `unlock` as for sealed.py; `ykt`; `psam` with `log`, `image`, `serial` and
`terminal`; `key_card` with `log`, `image`, `serial`, `pin` and how many `cards` it may issue. Prints which keys were
checked.
"""

import json
import sys
from pathlib import Path

from ciphers import city_factor, expect, finished_keys, pad, smac, tdes, tmac, untdes, with_mac
from key import divide, holders_key, kcv, way_down
from sealed import open_file, unlock_of
from slot import Slot

CITY = city_factor(bytes.fromhex("2144"))
CARD = bytes.fromhex("2144000000000099")
MOMENT = bytes.fromhex("20261122093015")

# The eight steps (docs/keys.md): directory, control key, usage, the key that comes.
PSAM_STEPS = [
    ("MF", "psam-transport", 0x00, "psam-initialisation"),
    ("MF", "psam-initialisation", 0x00, "psam-master"),
    ("MF", "psam-master", 0x01, "psam-maintenance"),
    ("DF", "psam-master", 0x00, "psam-application-master"),
    ("DF", "psam-application-master", 0x01, "psam-application-maintenance"),
    ("DF", "psam-application-master", 0x42, "purchase"),
]
OWN, CONTROL = "key-card-application-master", "key-card-master"
KEY_CARD_STEPS = [
    ("MF", "key-card-transport", 0x00, CONTROL),
    ("DF", CONTROL, 0x00, OWN),
    ("DF", OWN, 0x01, "key-card-application-maintenance"),
    ("DF", OWN, 0x37, "key-card-pin-unblock"),
    ("DF", OWN, 0x3A, "PIN"),
]
# Kind on a key card, and the control key it enters a card under.
ISSUED = {
    "card-transport": (0x20, None),
    "card-master": (0x21, "card-transport"),
    "card-maintenance": (0x22, "card-master"),
    "application-master": (0x23, "card-master"),
    "application-maintenance": (0x36, "application-master"),
    "purchase": (0x3E, "application-master"),
    "load": (0x3F, "application-master"),
    "tac": (0x34, "application-master"),
    "grey-unlock": (0x3B, "application-master"),
    "pin-unblock": (0x37, "application-master"),
    "pin-reload": (0x38, "application-master"),
}
ON_CARD = {"card-master": 0x39, "card-maintenance": 0x36, "application-master": 0x39}


class Keys:
    """What the vault holds, as one module or the issuer has it."""

    def __init__(self, told, serial=bytes(8)):
        _, self.levels, self.keys = open_file(Path(told["vault"]).read_bytes(), unlock_of(told["unlock"]))
        self.serial = serial

    def own(self, kind, holder=None):
        return holders_key(self.keys, self.levels, (kind, 1, 1), CITY, holder or self.serial)[1]

    def working(self, kind, left):
        """The issuer's, so many levels above the cards."""
        (root,) = [key for key in self.keys if key.place == (kind, 1, 1, 0, None)]
        value = root.value
        factors = way_down(kind, self.levels, CITY, CARD)
        for factor in factors[: len(factors) - left]:
            value = divide(root.algorithm, value, factor)
        return value


def passed(log):
    """What went through and was taken: directory, challenge as IV, command."""
    directory, iv = "MF", None
    for line in Path(log).read_text().splitlines():
        command, answer = (bytes.fromhex(side) for side in json.loads(line))
        head = command[:2].hex()
        if answer[-2:] != b"\x90\x00":
            continue
        if head == "00a4":
            directory = "MF" if command[5:7] in (b"", b"\x3f\x00") else "DF"
        yield directory, iv, command
        iv = answer[:-2].ljust(8, b"\x00") if head == "0084" else None


def check_write_key(keys, seen, step, attributes, value):
    """One WRITE KEY: where it went, whose MAC it has, and what it brings."""
    (directory, iv, command), (expected, control, usage, kind) = seen, step
    control = keys.own(control)
    expect(f"directory of {kind}", expected, directory)
    expect(f"head of {kind}", bytes.fromhex("84D40000") + bytes([len(command) - 5]), command[:5])
    expect(f"MAC of {kind}", smac(control, iv, command[:-4]), command[-4:])
    plain = bytes([usage, *attributes]) + value
    expect(f"what brings {kind}", pad(bytes([len(plain)]) + plain), untdes(control, command[5:-4]))


def check_updates(log, keys, maintenance, expected):
    """The contents of files, each under the maintenance key of its directory."""
    updates = [seen for seen in passed(log) if seen[2][:2] == b"\x04\xd6"]
    expect("number of updates", len(expected), len(updates))
    for (directory, iv, command), (file, data) in zip(updates, expected):
        data = data(command[5:-4]) if callable(data) else data
        key = keys.own(maintenance[directory])
        expect(f"update of {file:04X}", with_mac(key, iv, bytes([4, 0xD6, 0x80 | file, 0]), data), command)


def writes(log):
    return [seen for seen in passed(log) if seen[2][:2] == b"\x84\xd4"]


# --- PSAM ---


def judge_psam(told, psam):
    serial, terminal = bytes.fromhex(psam["serial"]), bytes.fromhex(psam["terminal"])
    keys = Keys(told, serial[2:])
    written = writes(psam["log"])
    expect("number of keys", len(PSAM_STEPS), len(written))
    for seen, step in zip(written, PSAM_STEPS):
        value = keys.working(step[3], step[2] >> 5) if step[2] >> 5 else keys.own(step[3])
        check_write_key(keys, seen, step, [1, 0x00], value)
    maintenance = {"MF": "psam-maintenance", "DF": "psam-application-maintenance"}
    check_updates(
        psam["log"],
        keys,
        maintenance,
        [
            (0x15, lambda data: serial + data[10:14]),
            (0x16, terminal),
            (0x17, lambda data: b"\x01" + CITY + data[9:25]),
        ],
    )
    with Slot(told["ykt"], "psam", psam["image"]) as chip:
        expect("serial number", serial, chip.ask("00B095000A"))
        expect("terminal id", terminal, chip.ask("00B0960006"))
        chip.authenticate(0, keys.own("psam-master"))
        chip.ask("00A4000002DF01")
        chip.authenticate(0, keys.own("psam-application-master"))
        for wrong in (0, 1):
            sign(chip, keys, terminal, wrong)
    return [kind for _, _, _, kind in PSAM_STEPS]


def sign(chip, keys, terminal, wrong):
    """A purchase with a card that is only computed."""
    random, counter, amount = bytes.fromhex("0A1B2C3D"), b"\x00\x07", b"\x00\x00\x00\x64"
    data = random + counter + amount + b"\x06" + MOMENT + b"\x01\x00" + CARD + CITY
    answer = chip.ask(bytes.fromhex("8070000024") + data + b"\x08")
    sequence, mac1 = answer[:4], answer[4:]
    session = tdes(keys.own("purchase", CARD), random + counter + sequence[2:])
    expect("MAC1", tmac(session, amount + b"\x06" + terminal + MOMENT), mac1)
    mac2 = tmac(session, amount)
    mac2 = bytes([mac2[0] ^ wrong]) + mac2[1:]
    chip.ask(bytes.fromhex("8072000004") + mac2, "9302" if wrong else "9000")


# --- Key card ---


def judge_key_card(told, card):
    serial, pin = bytes.fromhex(card["serial"]), bytes.fromhex(card["pin"])
    keys = Keys(told, serial[2:])
    written = writes(card["log"])
    own, issued = written[: len(KEY_CARD_STEPS)], written[len(KEY_CARD_STEPS) :]
    for seen, step in zip(own, KEY_CARD_STEPS):
        if step[3] == "PIN":
            check_write_key(keys, seen, step, [0, len(pin)], pin.ljust(6, b"\xff"))
        else:
            check_write_key(keys, seen, step, [1, 0x00], keys.own(step[3]))
    expect("number of keys", len(ISSUED), len(issued))
    carried = {}
    for seen, (kind, (number, control)) in zip(issued, ISSUED.items()):
        levels = 2 if control else 0
        value = keys.working(kind, levels) if levels else keys.own(kind)
        carried[levels << 6 | number] = value
        check_write_key(keys, seen, ("DF", OWN, levels << 6 | number, kind), [1, 0x00], value)
    kinds = sum(1 << number - 0x20 for number, _ in ISSUED.values()).to_bytes(4, "big")
    attributes = kinds + CITY + bytes(15 * 8)
    record = card["cards"].to_bytes(4, "big") + bytes(25)
    maintenance = {"DF": "key-card-application-maintenance"}
    check_updates(card["log"], keys, maintenance, [(0x17, attributes), (0x18, record)])
    with Slot(told["ykt"], "card", card["image"]) as chip:
        use_key_card(chip, keys, card, kinds, carried, pin)
    return [*(kind for *_, kind in KEY_CARD_STEPS), *ISSUED]


def use_key_card(chip, keys, card, kinds, carried, pin):
    chip.ask("00A4000002DF02")
    info = chip.ask("807A0000")
    expect("cards left, kinds", card["cards"].to_bytes(4, "big") + kinds, info[:8])
    entries = {info[at]: info[at + 1 : at + 6] for at in range(8, len(info), 6)}
    own = {usage: keys.own(kind) for _, _, usage, kind in KEY_CARD_STEPS[1:4]}
    for usage, value in (own | carried).items():
        expect(f"key {usage:02X} on the card", b"\x01\x00" + kcv(0, value), entries.pop(usage))
    expect("further keys", {}, entries)
    begin = bytes.fromhex("8074000010")
    chip.ask(begin + CARD + CITY, "6982")
    chip.ask(bytes([0x00, 0x20, 0, 0, len(pin)]) + pin)
    chip.ask(begin + CARD + city_factor(bytes.fromhex("3100")), "6985")
    for left in range(card["cards"] - 1, -1, -1):
        number = CARD[:7] + bytes([left])
        expect("cards left", left.to_bytes(4, "big"), chip.ask(begin + number + CITY))
        expect("the same card again", left.to_bytes(4, "big"), chip.ask(begin + number + CITY))
        issue(chip, keys, number)
        chip.ask("80780000")
    chip.ask(begin + CARD + CITY, "9402")


def issue(chip, keys, number):
    """Each key for one card, as the card would check it."""
    finished = finished_keys({kind: keys.working(kind, 2) for kind in ISSUED if kind != "card-transport"}, CITY, number)
    finished["card-transport"] = keys.own("card-transport")
    for kind, (of_key_card, control) in ISSUED.items():
        if not control:
            continue
        challenge = bytes([of_key_card, 2, 3, 4, *([5, 6, 7, 8] if of_key_card % 2 else [])])
        # Version of the control key, right of use, state after it, right to change, tries.
        asked = bytes([0x80, 1, 0xF0, 0x0F, 0xF0, 0x33]) + challenge
        command = chip.ask(bytes([0x80, 0x76, of_key_card, 1, len(asked)]) + asked)
        usage = ON_CARD.get(kind, of_key_card)
        iv, header = challenge.ljust(8, b"\x00"), bytes([0x84, 0xD4, 0x80, usage])
        plain = bytes([1, 0x00, usage, 0xF0, 0x0F, 0xF0, 0x33]) + finished[kind]
        expect(f"length of {kind}", len(command) - 5, command[4])
        expect(f"head of {kind}", header, command[:4])
        expect(f"MAC of {kind}", smac(finished[control], iv, command[:-4]), command[-4:])
        expect(f"key {kind}", pad(bytes([len(plain)]) + plain), untdes(finished[control], command[5:-4]))


def main():
    told = json.load(sys.stdin)
    print(json.dumps({"psam": judge_psam(told, told["psam"]), "key_card": judge_key_card(told, told["key_card"])}))


if __name__ == "__main__":
    main()
