#!/usr/bin/python3
"""A terminal and a load host of somebody else's making: pyscard to the readers, MACs computed here.

Usage: foreign_client.py KEYS.TOML CARD_READER PSAM_READER

Loads the card, pays once with a PSAM of its own computing and once through the PSAM in its reader, checks every
MAC and TAC on the way, and prints the card number and the balance as JSON. Any difference ends it with an error.
Nothing is shared with the code under test: DES comes from python3-pycryptodome, formulas from epurse.md 1 and 4.
"""

import json
import sys
import tomllib

from Cryptodome.Cipher import DES
from smartcard.System import readers

CITY_AID = bytes.fromhex("A00000000386980701")
LOAD_TERMINAL = bytes.fromhex("FEEDFEED0001")
OWN_TERMINAL = bytes.fromhex("FEEDFEED0002")
MOMENT = bytes.fromhex("20261122093015")


def des(key, block):
    return DES.new(key, DES.MODE_ECB).encrypt(block)


def undes(key, block):
    return DES.new(key, DES.MODE_ECB).decrypt(block)


def tdes(key, block):
    return des(key[:8], undes(key[8:], des(key[:8], block)))


def diversify(key, factor):
    inverted = bytes(byte ^ 0xFF for byte in factor)
    return tdes(key, factor) + tdes(key, inverted)


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def tmac(key, data):
    padded = data + b"\x80"
    padded += bytes(-len(padded) % 8)
    state = bytes(8)
    for at in range(0, len(padded), 8):
        state = des(key, xor(state, padded[at : at + 8]))
    return state[:4]


def expect(what, expected, found):
    if expected != found:
        raise SystemExit(f"{what}: expected {expected}, found {found}")


class Channel:
    def __init__(self, number):
        self.connection = readers()[number].createConnection()
        self.connection.connect()

    def ask(self, command):
        data, sw1, sw2 = self.connection.transmit(list(command))
        expect(f"answer to {command.hex()}", "9000", f"{sw1:02x}{sw2:02x}")
        return bytes(data)


def select(card):
    card.ask(bytes.fromhex("00A4040009") + CITY_AID + b"\x00")
    public = card.ask(bytes.fromhex("00B095001E"))
    return public[2:4], public[12:20]


def load(card, keys, amount):
    amount = amount.to_bytes(4, "big")
    answer = card.ask(bytes.fromhex("805000020B01") + amount + LOAD_TERMINAL + b"\x10")
    balance, counter, random, mac1 = answer[:4], answer[4:6], answer[8:12], answer[12:]
    session = tdes(keys["load"], random + counter + b"\x80\x00")
    expect("MAC1 of the load", tmac(session, balance + amount + b"\x02" + LOAD_TERMINAL), mac1)
    terms = amount + b"\x02" + LOAD_TERMINAL + MOMENT
    tac = card.ask(bytes.fromhex("805200000B") + MOMENT + tmac(session, terms) + b"\x04")
    new = (int.from_bytes(balance, "big") + int.from_bytes(amount, "big")).to_bytes(4, "big")
    expect("TAC of the load", tmac(keys["tac"], new + counter + terms), tac)
    proof = card.ask(bytes.fromhex("805A000202") + counter + b"\x08")
    expect("proof of the load", bytes(4) + tac, proof)


def purchase(card, keys, amount, terminal, sign, check):
    amount = amount.to_bytes(4, "big")
    answer = card.ask(bytes.fromhex("805001020B01") + amount + terminal + b"\x0f")
    counter, version, random = answer[4:6], answer[9:11], answer[11:]
    sequence, signed = sign(random, counter, amount, version)
    session = tdes(keys["purchase"], random + counter + sequence[2:])
    terms = amount + b"\x06" + terminal
    mac1 = tmac(session, terms + MOMENT)
    expect("MAC1 of the purchase", mac1, signed or mac1)
    answer = card.ask(bytes.fromhex("805401000F") + sequence + MOMENT + mac1 + b"\x08")
    expect("TAC of the purchase", tmac(keys["tac"], terms + sequence + MOMENT), answer[:4])
    expect("MAC2 of the purchase", tmac(session, amount), answer[4:])
    check(answer[4:])
    proof = card.ask(bytes.fromhex("805A000602") + counter + b"\x08")
    expect("proof of the purchase", answer[4:] + answer[:4], proof)


def main(keys_file, card_reader, psam_reader):
    card, psam = Channel(int(card_reader)), Channel(int(psam_reader))
    city, asn = select(card)
    factor = city + b"\xff" + bytes(5)
    with open(keys_file, "rb") as file:
        entries = tomllib.load(file)["key"]
    # Master keys of index and version 1; the file shows other levels and versions too.
    masters = {
        key["kind"]: bytes.fromhex(key["value"])
        for key in entries
        if not {"level", "index", "version"} & key.keys()
    }
    keys = {
        kind: diversify(diversify(masters[kind], factor), asn) for kind in ("purchase", "load", "tac")
    }
    keys["tac"] = xor(keys["tac"][:8], keys["tac"][8:])

    load(card, keys, 3000)
    purchase(card, keys, 120, OWN_TERMINAL, lambda *_: (bytes.fromhex("00000007"), None), lambda _: None)

    terminal = psam.ask(bytes.fromhex("00B0960006"))
    psam.ask(bytes.fromhex("00A4000002DF0100"))

    def sign(random, counter, amount, version):
        data = random + counter + amount + b"\x06" + MOMENT + version + asn + factor
        answer = psam.ask(bytes.fromhex("80700000") + bytes([len(data)]) + data + b"\x08")
        return answer[:4], answer[4:]

    purchase(
        card, keys, 80, terminal, sign, lambda mac2: psam.ask(bytes.fromhex("8072000004") + mac2)
    )
    balance = int.from_bytes(card.ask(bytes.fromhex("805C000204")), "big")
    print(json.dumps({"card": asn.hex().upper(), "balance_fen": balance}))


if __name__ == "__main__":
    main(*sys.argv[1:])
