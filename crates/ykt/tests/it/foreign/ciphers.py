"""DES, and what epurse.md 1 and 2.1 make of it: session keys, MACs, secure messaging, card keys.

Nothing is shared with the code under test: DES comes from python3-pycryptodome, layouts from epurse.md.
"""

import tomllib

from Cryptodome.Cipher import DES


def expect(what, expected, found):
    if expected != found:
        raise SystemExit(f"{what}: expected {show(expected)}, found {show(found)}")


def show(value):
    return value.hex().upper() if isinstance(value, bytes) else value


# --- Cryptography (epurse.md 1) ---


def des(key, block):
    return DES.new(key, DES.MODE_ECB).encrypt(block)


def undes(key, block):
    return DES.new(key, DES.MODE_ECB).decrypt(block)


def tdes(key, data):
    blocks = (data[at : at + 8] for at in range(0, len(data), 8))
    return b"".join(des(key[:8], undes(key[8:], des(key[:8], block))) for block in blocks)


def untdes(key, data):
    blocks = (data[at : at + 8] for at in range(0, len(data), 8))
    return b"".join(undes(key[:8], des(key[8:], undes(key[:8], block))) for block in blocks)


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def halves(key):
    """A 16-byte key made one of 8: for TACs, and for RELOAD PIN."""
    return xor(key[:8], key[8:])


def pad(data):
    data += b"\x80"
    return data + bytes(-len(data) % 8)


def chain(key, iv, data):
    for at in range(0, len(data), 8):
        iv = des(key, xor(iv, data[at : at + 8]))
    return iv


def tmac(key, data):
    """MAC of transactions: single DES."""
    return chain(key, bytes(8), pad(data))[:4]


def smac(key, iv, data):
    """MAC of secure messaging: the last block through all three operations of a 16-byte key."""
    return retail(key, iv, pad(data))


def retail(key, iv, blocks):
    return des(key[:8], undes(key[8:], chain(key[:8], iv, blocks)))[:4]


# --- Secure messaging (epurse.md 2.1) ---


def with_mac(key, iv, header, data):
    message = header + bytes([len(data) + 4]) + data
    return message + smac(key, iv, message)


def enciphered(key, iv, header, data):
    return with_mac(key, iv, header, tdes(key, pad(bytes([len(data)]) + data)))


# --- Keys ---


def diversify(key, *factors):
    for factor in factors:
        key = tdes(key, factor) + tdes(key, bytes(byte ^ 0xFF for byte in factor))
    return key


def city_factor(city):
    return city + b"\xff" + bytes(5)


def master_keys(file):
    """Those of index and version 1 and of 16 bytes; the file shows other levels, versions and algorithms too."""
    with open(file, "rb") as opened:
        entries = tomllib.load(opened)["key"]
    first = [key for key in entries if not {"level", "index", "version"} & key.keys() and len(key["value"]) == 32]
    return {key["kind"]: bytes.fromhex(key["value"]) for key in first}


def finished_keys(masters, *factors):
    return {kind: diversify(key, *factors) for kind, key in masters.items()}
