#!/usr/bin/python3
"""Puts a key together from what a ceremony gave out, as docs/key-formats.md says, and holds it against the vault.

Usage: ceremony.py <TOLD.json: `vault` and `unlock` as for sealed.py, the `folder` of sheets, the `protocol`, the `kind`
of the key, how many shares are `needed` (0: there are none), a component `card` with `image`, `pin` and the program
`ykt` that serves it, or null. Prints the KCVs, and shares of its own making for the same key.
"""

import json
import random
import sys
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

from ciphers import xor
from exchange import signed_text
from key import ALGORITHMS, kcv, public_key, root_from_seed
from sealed import open_file, unlock_of
from slot import Slot

LABEL_READ, PART_READ = "00B095001C", "00B0990028"


def expect(holds, what):
    if not holds:
        raise SystemExit(what)


# --- The paper ---


class Sheet(HTMLParser):
    """The code of a printed page, and its check values."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.rows, self.kcvs = [], [], []
        self.feed(path.read_text())
        self.value = b"".join(self.line(*row) for row in self.rows)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes).get("class")
        self.tags.append((tag, named))
        if tag == "table":
            expect(named == "code", "another table than the code")
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        while self.tags and self.tags.pop()[0] != tag:
            pass
        if tag == "thead":
            self.rows.clear()

    def handle_data(self, text):
        tag, named = self.tags[-1] if self.tags else (None, None)
        if tag in ("th", "td"):
            self.rows[-1].append(text)
        if named == "kcv":
            self.kcvs.append(bytes.fromhex(text))

    def line(self, number, *groups):
        value, check = bytes.fromhex("".join(groups[:-1])), bytes.fromhex(groups[-1])
        expect(len(groups) == 5 and number == str(self.rows.index([number, *groups]) + 1), f"line {number}")
        expect(crc(bytes([int(number)]) + value) == check, f"the check value of line {number}")
        return value


def crc(data):
    """CRC-16, bit by bit: polynomial 1021, begun with FFFF."""
    register = 0xFFFF
    for bit in (byte >> at & 1 for byte in data for at in range(7, -1, -1)):
        top = register >> 15
        register = register << 1 & 0xFFFF
        if top ^ bit:
            register ^= 0x1021
    return register.to_bytes(2, "big")


# --- GF(256), by logarithms ---

POWERS = [1]
for _ in range(254):
    POWERS.append(POWERS[-1] << 1 ^ (0x11D if POWERS[-1] & 0x80 else 0))
LOGARITHMS = {power: at for at, power in enumerate(POWERS)}


def times(one, other):
    return POWERS[(LOGARITHMS[one] + LOGARITHMS[other]) % 255] if one and other else 0


def over(one, other):
    return POWERS[(LOGARITHMS[one] - LOGARITHMS[other]) % 255] if one else 0


def joined(shares):
    """What the polynomials through these points have at zero: Lagrange."""
    secret = bytes(len(next(iter(shares.values()))))
    for x, share in shares.items():
        weight = 1
        for other in shares.keys() - {x}:
            weight = times(weight, over(other, other ^ x))
        secret = xor(secret, bytes(times(weight, byte) for byte in share))
    return secret


def split(secret, needed, points):
    draw = random.Random(secret)
    coefficients = [secret, *(draw.randbytes(len(secret)) for _ in range(needed - 1))]
    shares = {}
    for x in points:
        share = bytes(len(secret))
        for coefficient in reversed(coefficients):
            share = xor(bytes(times(x, byte) for byte in share), coefficient)
        shares[x] = share
    return shares


def as_typed(value):
    """Lines of eight bytes with their check values, in groups."""
    lines = [value[at : at + 8] for at in range(0, len(value), 8)]
    checked = (line + crc(bytes([number]) + line) for number, line in enumerate(lines, start=1))
    return " ".join(line.hex(" ", 2).upper() for line in checked)


# --- The card ---


def component_card(told):
    with Slot(told["ykt"], "card", told["image"]) as card:
        card.ask("00A404000D" + b"YKT.COMPONENT".hex())
        label = card.ask(LABEL_READ)
        card.ask(PART_READ, "6982")
        card.ask("0020000003" + "000000", "63C2")
        card.ask("0020000003" + told["pin"])
        return label, card.ask(PART_READ)


def check_card(told, sheet, algorithm, number, of):
    label, part = component_card(told)
    expected = b"\x01" + number.encode().ljust(24, b"\x00") + bytes([1, of, 0])
    expect(label == expected, f"label of the card: {label.hex()}")
    expected = bytes([algorithm, len(sheet.value)]) + sheet.value.ljust(32, b"\x00") + b"".join(sheet.kcvs)
    expect(part == expected, "the card has another component than the sheet")


def sheets_of(folder, kind):
    return [Sheet(path) for path in sorted(Path(folder).glob(f"*-{kind}-?.html"))]


def main():
    told = json.load(sys.stdin)
    _, _, keys = open_file(Path(told["vault"]).read_bytes(), unlock_of(told["unlock"]))
    (kept,) = [key for key in keys if key.kind == told["kind"]]
    parts = sheets_of(told["folder"], "component")
    value = bytes(len(kept.value))
    for sheet in parts:
        value = xor(value, sheet.value)
    expect(value == kept.value, "the components are not the key in the vault")
    shares = sheets_of(told["folder"], "share")
    expect(len(shares) == (len(parts) if told["needed"] else 0), f"{len(shares)} shares")
    for sheet in parts + shares:
        expect(sheet.kcvs == [kcv(kept.algorithm, sheet.value), kept.kcv], f"check values {sheet.kcvs}")
    points = {x: share.value for x, share in enumerate(shares, start=1)}
    for some in range(1, len(points) + 1):
        for chosen in combinations(points, some):
            right = joined({x: points[x] for x in chosen}) == value
            expect(right == (some >= told["needed"]), f"shares {chosen}")
    text, signer = signed_text(Path(told["protocol"]).read_bytes())
    pairs = [public_key(key.value).hex().upper() for key in keys if key.kind == "signing"]
    expect(any(signer.endswith(pair) for pair in pairs), "the protocol is signed by another centre")
    if told["card"]:
        number = next(Path(told["folder"]).glob("*-component-1.html")).name.removesuffix("-component-1.html")
        check_card(told["card"], parts[0], kept.algorithm, number, len(parts))
    roots = {}
    if kept.kind == "seed":
        for key in keys:
            if key.kind not in ("seed", "signing", "key-transport", "card-transport"):
                expect(root_from_seed(kept, *key.place[:3]) == key.value, f"{key.place} is not from the seed")
                roots[key.kind] = key.kcv.hex().upper()
    own = split(value, max(told["needed"], 2), (7, 8))
    said = {
        "kcv": kept.kcv.hex().upper(),
        "algorithm": ALGORITHMS[kept.algorithm],
        "roots": roots,
        "protocol": text,
        "own": {str(x): [as_typed(share), kcv(kept.algorithm, share).hex().upper()] for x, share in own.items()},
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
