#!/usr/bin/python3
"""The other side of an exchange of keys (docs/key-formats.md, exchange files): a centre, or a third party.

Usage: exchange.py read FILE <TRANSPORT.json: verifies a centre's file, opens every cryptogram, prints the keys
       exchange.py write FOLDER <ORDER.json: writes files with the keys of the order, right ones and broken ones, and
       prints the words that the refusal of each broken one must have

A transport key and the keys of an order have `algorithm` and `value`; keys have a `place`, too.
"""

import json
import sys
from pathlib import Path
from struct import pack, unpack
from tempfile import TemporaryDirectory

from Cryptodome.Cipher import AES

from key import AES256, ALGORITHMS, NUMBERS, VALUE_LEN, Key, decipher, encipher, kcv, openssl, sm3

CODES = {name: code for code, name in ALGORITHMS.items()}
TITLE = "Yikatong key exchange, format 1"
COLUMNS = "kind,index,version,level,owner,algorithm,state,kcv,cryptogram".split(",")
SIGNER_ID = "-pkeyopt distid:1234567812345678"


def hexed(data):
    return data.hex().upper()


class Transport:
    """The key both sides have."""

    def __init__(self, given):
        self.algorithm, self.value = CODES[given["algorithm"]], bytes.fromhex(given["value"])
        self.kcv = kcv(self.algorithm, self.value)

    def wrap(self, value):
        return wrap(self.value, value) if self.algorithm == AES256 else encipher(self.algorithm, self.value, value)

    def unwrap(self, cryptogram):
        if self.algorithm == AES256:
            return unwrap(self.value, cryptogram)
        return decipher(self.algorithm, self.value, cryptogram)


# --- AES key wrap (RFC 3394) ---


def wrap(key, value):
    cipher, check = AES.new(key, AES.MODE_ECB), b"\xa6" * 8
    parts = [value[at : at + 8] for at in range(0, len(value), 8)]
    for step in range(6 * len(parts)):
        at = step % len(parts)
        block = cipher.encrypt(check + parts[at])
        (number,) = unpack(">Q", block[:8])
        check, parts[at] = pack(">Q", number ^ (step + 1)), block[8:]
    return b"".join([check, *parts])


def unwrap(key, cryptogram):
    cipher, check = AES.new(key, AES.MODE_ECB), cryptogram[:8]
    parts = [cryptogram[at : at + 8] for at in range(8, len(cryptogram), 8)]
    for step in reversed(range(6 * len(parts))):
        at = step % len(parts)
        (number,) = unpack(">Q", check)
        block = cipher.decrypt(pack(">Q", number ^ (step + 1)) + parts[at])
        check, parts[at] = block[:8], block[8:]
    if check != b"\xa6" * 8:
        raise SystemExit("key wrap: the check of the cryptogram fails")
    return b"".join(parts)


# --- What a centre signed ---


def expect(name, line):
    if not line.startswith(name + ": "):
        raise SystemExit(f"expected {name}, found {line!r}")
    return line.removeprefix(name + ": ")


def verify(text, signer, signature):
    with TemporaryDirectory() as folder:
        names = [str(Path(folder) / name) for name in ("signer", "signature", "text")]
        for name, data in zip(names, (signer, signature, text)):
            Path(name).write_bytes(data)
        check = f"pkeyutl -verify -pubin -keyform DER -inkey {names[0]} -rawin -digest sm3 {SIGNER_ID}"
        openssl(f"{check} -sigfile {names[1]} -in {names[2]}")


def signed_text(file):
    """The text of a signed file, when its last three lines are right."""
    text, mark, end = file.rpartition(b"digest: ")
    digest, signer, signature, rest = (mark + end).decode().split("\n")
    signer, signature = expect("signer", signer), expect("signature", signature)
    if rest or expect("digest", digest) != hexed(sm3(text)):
        raise SystemExit("the digest is not that of the text")
    verify(text, bytes.fromhex(signer), bytes.fromhex(signature))
    return text.decode(), signer


def read(path):
    transport = Transport(json.load(sys.stdin))
    text, signer = signed_text(Path(path).read_bytes())
    title, sender, _, of, count, columns, *rows = text.splitlines()
    if title != TITLE or columns.split(",") != COLUMNS or expect("transport", of) != hexed(transport.kcv):
        raise SystemExit(f"another head: {title}, {of}, {columns}")
    keys = [read_row(dict(zip(COLUMNS, row.split(","))), transport) for row in rows]
    if int(expect("keys", count)) != len(keys):
        raise SystemExit(f"{count}, found {len(keys)}")
    print(json.dumps({"from": expect("from", sender), "signer": signer, "keys": keys}))


def read_row(row, transport):
    algorithm, value = CODES[row["algorithm"]], transport.unwrap(bytes.fromhex(row["cryptogram"]))
    if len(value) != VALUE_LEN[algorithm] or hexed(kcv(algorithm, value)) != row["kcv"]:
        raise SystemExit(f"not the key of its KCV: {row}")
    owner = bytes.fromhex(row["owner"]) or None
    place = row["kind"], int(row["index"]), int(row["version"]), int(row["level"]), owner
    return Key(*place, algorithm, row["state"], value).shown() | {"value": hexed(value)}


# --- What is sent ---


def row_of(key, transport):
    algorithm, value = CODES[key["algorithm"]], bytes.fromhex(key["value"])
    place = key["place"]
    assert place["kind"] in NUMBERS
    cryptogram = hexed(transport.wrap(value))
    return place | {"algorithm": key["algorithm"], "kcv": hexed(kcv(algorithm, value)), "cryptogram": cryptogram}


def table(rows, columns, end="\n"):
    return end.join([",".join(columns)] + [",".join(str(row.get(name, "")) for name in columns) for row in rows]) + end


def signed(text, key):
    """A text with its digest, signer and signature, by OpenSSL's SM2."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        path.write_bytes(text.encode())
        signature = openssl(f"pkeyutl -sign -inkey {key} -rawin -digest sm3 {SIGNER_ID} -in {path}")
    signer = openssl(f"pkey -in {key} -pubout -outform DER")
    lines = {"digest": sm3(text.encode()), "signer": signer, "signature": signature}
    return text + "".join(f"{name}: {hexed(value)}\n" for name, value in lines.items())


def of_centre(rows, transport, key, count=None, of=None):
    head = [TITLE, "from: The other city", "at: 2026-11-22 10:00:00", f"transport: {of or hexed(transport.kcv)}"]
    text = "\n".join([*head, f"keys: {len(rows) if count is None else count}", ""])
    return signed(text + table(rows, COLUMNS), key)


def changed(rows, at, **fields):
    return [row | fields if number == at else row for number, row in enumerate(rows)]


def flipped(digits):
    return digits[:-1] + f"{int(digits[-1], 16) ^ 1:X}"


def right_files(rows, key, transport):
    """Each brings the keys under indices of its own."""
    others = [[row | {"index": row["index"] + more} for row in rows] for more in (10, 20)]
    lean = [{name: value for name, value in rows[0].items() if name in ("kind", "kcv", "cryptogram")}]
    spreadsheet = "\ufeff" + table(others[0], COLUMNS[::-1], "\r\n").replace("\r\n", "\r\n\r\n# as agreed\r\n", 1)
    return {
        "bare": table(rows, COLUMNS),
        "lean": table(lean, list(lean[0])),
        "spreadsheet": spreadsheet,
        "signed": of_centre(others[1], transport, key),
    }


def broken_files(rows, own, other, transport):
    """What is wrong with each, in the words of its refusal."""
    last = len(rows) - 1

    def bare(names=COLUMNS, at=last, **fields):
        return table(changed(rows, at, **fields), names)

    def without(column):
        return [name for name in COLUMNS if name != column]

    kcv_there, cryptogram = rows[last]["kcv"], rows[last]["cryptogram"]
    whole = of_centre(rows, transport, own)
    own_signer, other_signer = (
        text.partition("signer: ")[2].partition("\n")[0] for text in (whole, of_centre(rows, transport, other))
    )
    return {
        "column": (bare().replace("cryptogram", "cipher", 1), 'unknown column "cipher"'),
        "no-kcv": (bare(without("kcv")), 'no column "kcv"'),
        "fields": (bare().rstrip() + ",\n", "expected 9 fields, found"),
        "kind": (bare(kind="purse"), "kind: expected a kind of key"),
        "owner": (bare(owner="2144FF"), "owner: expected nothing, or 16 hex digits"),
        "state": (bare(state="destroyed"), "state: expected generated, active or retired"),
        "level": (bare(level="street"), "level: expected a level"),
        "twice": (table([*rows, rows[0]], COLUMNS), "again; line 2 brought it first"),
        "kcv": (bare(kcv=flipped(kcv_there)), kcv_there),
        # ECB has no check of its own.
        "cryptogram": (
            bare(cryptogram=flipped(cryptogram)), "was changed" if transport.algorithm == AES256 else kcv_there
        ),
        "short": (bare(cryptogram=cryptogram[:-2]), "cryptogram: expected 16, 24, 32 or 40 bytes"),
        "none": (table([], COLUMNS), "expected 1 to 100000 keys in the file, found 0"),
        "transport": (of_centre(rows, transport, own, of="000000"), "000000"),
        "count": (of_centre(rows, transport, own, count=99), f"expected 99 keys in the file, found {len(rows)}"),
        "altered": (whole.replace("The other city", "Some other city"), "the file was altered: it states"),
        "signer": (whole.replace(own_signer, other_signer), "its signature is not the signer's"),
        "behind": (whole + "\n", "its signature is not the signer's"),
        "cut": (whole[: whole.rindex("signature: ")], 'the line "signature: "'),
    }


def write(folder):
    order = json.load(sys.stdin)
    folder, transport = Path(folder), Transport(order["transport"])
    own, other = folder / "own.pem", folder / "other.pem"
    for key in (own, other):
        openssl(f"genpkey -algorithm SM2 -out {key}")
    rows = [row_of(key, transport) for key in order["keys"]]
    right = right_files(rows, own, transport)
    fresh = [row | {"index": row["index"] + 30} for row in rows]
    broken = broken_files(fresh, own, other, transport)
    for name, text in [*right.items(), *((name, text) for name, (text, _) in broken.items())]:
        (folder / f"{name}.keys").write_bytes(text.encode())
    print(json.dumps({"right": list(right), "broken": {name: words for name, (_, words) in broken.items()}}))


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
