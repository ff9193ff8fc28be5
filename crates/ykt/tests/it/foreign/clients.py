#!/usr/bin/python3
"""Terminals and hosts of somebody else's making: pyscard to the readers, keys and MACs computed here.

Usage: clients.py KEYS.TOML CARD_READER PSAM_READER

Pays with the city's application, then makes an application of its own on card and PSAM and goes through
everything it can do. Prints what came of it as JSON. Any difference ends it with an error.
"""

import json
import sys
import tomllib

import block
import composite
import deposit
import grey
import holder
import issue
import purse
import sam
from ciphers import master_keys
from wire import Channel


def main(keys_file, card_reader, psam_reader):
    card, psam = Channel(int(card_reader)), Channel(int(psam_reader))
    masters = master_keys(keys_file)
    with open(keys_file, "rb") as opened:
        pin = bytes.fromhex(tomllib.load(opened)["pin"])
    city = purse.city_application(card, masters)
    said = {"card": city.asn.hex().upper(), "city_fen": purse.run(city, psam)}

    keys = issue.personalise_card(card, masters, pin)
    terminal = issue.personalise_psam(psam, masters)
    own = purse.Purse(card, issue.APPLICATION, keys, issue.FACTOR, issue.ASN)
    own.select()
    psam.ask(bytes([0x00, 0xA4, 0x04, 0x00, len(issue.SAM_APPLICATION)]) + issue.SAM_APPLICATION)
    said["after_rides_fen"] = composite.run(own, purse.CardSam(psam, terminal))
    said["after_locks_fen"] = grey.run(own, psam, terminal)
    sam.run(own, psam, masters)
    deposit.run(own, pin)
    holder.run(own, psam, pin)
    said["when_blocked_fen"] = block.run(own, psam)
    city.select()
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
