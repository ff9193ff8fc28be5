#!/usr/bin/python3
"""Opens a sealed vault file (docs/key-formats.md, format 2) without the program that wrote it.

Usage: sealed.py FILE <UNLOCK.json: `{"operators": {NAME: PASSPHRASE}}` or `{"credential": PATH}`; with `"flip": true`
one bit of each byte is flipped in turn, and what is still accepted is shown. Prints what the file holds, as JSON.
"""

import hmac
import json
import struct
import sys
from pathlib import Path

import argon2.low_level as argon2
from Cryptodome.Cipher import AES

from key import KINDS, STATES, VALUE_LEN, Key

OPERATORS, CREDENTIAL = 1, 2


class Refused(Exception):
    """The file is not as it was written, or what was given does not open it."""


def check(holds, what):
    if not holds:
        raise Refused(what)


class Fields:
    """Takes a file apart from its beginning."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        field = self.data[self.at : self.at + length]
        check(len(field) == length, f"cut off at byte {self.at}")
        self.at += length
        return field

    def byte(self):
        return self.take(1)[0]

    def number(self):
        return struct.unpack(">I", self.take(4))[0]

    def text(self):
        return self.take(self.byte()).decode("utf-8", "surrogateescape")

    def rest(self):
        return self.take(len(self.data) - self.at)


def gcm(key, nonce, associated, sealed):
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
    cipher.update(associated)
    try:
        return cipher.decrypt_and_verify(sealed[:-16], sealed[-16:])
    except ValueError:
        raise Refused("the tag does not fit") from None


def hmac_sm3(key, data):
    return hmac.new(key, data, "sm3").digest()


def open_slot(fields, unlock):
    """The file key, or None when the slot is somebody else's."""
    begin = fields.at
    kind = fields.byte()
    check(kind in (OPERATORS, CREDENTIAL), "kind of a slot")
    memory, passes, lanes = fields.number(), fields.number(), fields.number()
    check(memory <= 262_144 and passes <= 16 and lanes <= 16, "hardness")
    salt, nonce = fields.take(16), fields.take(12)
    names = [fields.text() for _ in range(fields.byte())]
    associated = fields.data[:10] + fields.data[begin : fields.at]
    sealed = fields.take(80)
    if kind == CREDENTIAL and "credential" in unlock:
        key = hmac_sm3(unlock["credential"], b"YKTVAULT machine credential" + salt)
    elif kind == OPERATORS and names == sorted(unlock.get("operators", {})):
        check(passes and lanes and memory >= 8 * lanes, "hardness")
        passphrases = (unlock["operators"][name].encode() for name in names)
        secret = b"".join(struct.pack(">Q", len(one)) + one for one in passphrases)
        key = argon2.hash_secret_raw(secret, salt, passes, memory, lanes, 32, argon2.Type.ID, version=0x13)
    else:
        return None
    return gcm(key, nonce, associated, sealed)


def read_levels(fields):
    levels = []
    for _ in range(fields.byte()):
        name, factor = fields.text(), fields.byte()
        levels.append((name, fields.take(8) if factor == 1 else [None, None, "issuer", "card"][factor]))
    return levels


def read_key(fields):
    kind, index, version, level, state, algorithm, owned = fields.take(7)
    owner = fields.take(8)
    check(owned == 1 or owner == bytes(8), "an owner that is none")
    value = None if STATES[state] == "destroyed" else fields.take(VALUE_LEN[algorithm])
    return Key(KINDS[kind], index, version, level, owner if owned else None, algorithm, STATES[state], value)


def open_file(data, unlock):
    """Origin, levels and keys of the file."""
    fields = Fields(data)
    check(fields.take(8) == b"YKTVAULT" and fields.byte() == 2, "no sealed file of format 2")
    origin = fields.byte()
    check(origin in (0, 1), "origin")
    opened = [open_slot(fields, unlock) for _ in range(fields.byte())]
    length = fields.number()
    before_nonce = data[: fields.at]
    nonce = fields.take(12)
    header, sealed = data[: fields.at], fields.rest()
    check(len(sealed) == length, "length")
    file_key = next((key for key in opened if key), None)
    check(file_key, "no slot is for these names")
    contents = gcm(file_key[:32], nonce, header, sealed)
    check(hmac_sm3(file_key[32:], before_nonce + contents)[:12] == nonce, "nonce")
    fields = Fields(contents)
    levels, keys = read_levels(fields), []
    while fields.at < len(contents):
        keys.append(read_key(fields))
    return ["demo", "production"][origin], levels, keys


def unlock_of(given):
    if "credential" in given:
        return {"credential": Path(given["credential"]).read_bytes()}
    return {"operators": given["operators"]}


def accepted_flips(data, unlock):
    """Bytes in which one changed bit, another one in each, is not noticed."""
    accepted = []
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        try:
            open_file(bytes(flipped), unlock)
            accepted.append(at)
        except Refused:
            pass
    return accepted


def main(path):
    given = json.load(sys.stdin)
    unlock, data = unlock_of(given), Path(path).read_bytes()
    origin, levels, keys = open_file(data, unlock)
    said = {
        "origin": origin,
        "levels": [[name, factor.hex().upper() if isinstance(factor, bytes) else factor] for name, factor in levels],
        "keys": [key.shown() for key in keys],
    }
    if given.get("flip"):
        said["accepted_flips"] = accepted_flips(data, unlock)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
