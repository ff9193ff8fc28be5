"""The deposit (电子存折 ED, epurse.md 4.3 to 4.7): every transaction it knows, each with the PIN."""

from ciphers import expect, tdes, tmac
from holder import verify
from purse import CASH, ED, LOAD_TERMINAL, MOMENT, OwnSam, load, log_record, money, purchase

UNLOAD, LIMIT = 0x03, 0x07


def init_load(application, status):
    command = bytes.fromhex("805000010B01") + money(1) + LOAD_TERMINAL + b"\x10"
    application.card.ask(command, status)


def unload(application, fen):
    amount, before = money(fen), application.balance(ED)
    answer = application.card.ask(bytes.fromhex("805005010B01") + amount + LOAD_TERMINAL + b"\x10")
    balance, counter, random, mac1 = answer[:4], answer[4:6], answer[8:12], answer[12:]
    session = tdes(application.keys["unload"], random + counter + b"\x80\x00")
    terms = amount + bytes([UNLOAD]) + LOAD_TERMINAL
    expect("MAC1 of the unload", tmac(session, balance + terms), mac1)
    mac2 = tmac(session, terms + MOMENT)
    mac3 = application.card.ask(bytes.fromhex("805403000B") + MOMENT + mac2 + b"\x04")
    expect("MAC3 of the unload", tmac(session, money(before - fen) + counter + terms + MOMENT), mac3)
    expect("proof of the unload", mac3 + bytes(4), application.proof(UNLOAD, counter))
    expect("record of the unload", log_record(counter, amount, UNLOAD, LOAD_TERMINAL), application.log())


def allow_overdraft(application, fen):
    """UPDATE OVERDRAW LIMIT, from none; the balance then contains the limit."""
    limit, before = fen.to_bytes(3, "big"), application.balance(ED)
    answer = application.card.ask(bytes.fromhex("805004010701") + LOAD_TERMINAL + b"\x13")
    balance, counter, old, random, mac1 = answer[:4], answer[4:6], answer[6:9], answer[11:15], answer[15:]
    session = tdes(application.keys["overdraft"], random + counter + b"\x80\x00")
    expect("limit before", bytes(3), old)
    expect("MAC1 of the limit", tmac(session, balance + old + bytes([LIMIT]) + LOAD_TERMINAL), mac1)
    terms = limit + bytes([LIMIT]) + LOAD_TERMINAL + MOMENT
    command = bytes.fromhex("805800000E") + limit + MOMENT + tmac(session, terms) + b"\x04"
    tac = application.card.ask(command)
    expect("TAC of the limit", tmac(application.tac_key, money(before + fen) + counter + terms), tac)
    expect("balance with the limit", before + fen, application.balance(ED))


def run(application, pin):
    init_load(application, "6982")
    verify(application.card, pin)
    load(application, 5_000, ED)
    purchase(application, OwnSam(), 700, ED)
    purchase(application, OwnSam(), 1_000, ED, CASH)
    unload(application, 300)
    allow_overdraft(application, 10_000)
    expect("balance of the ED", 5_000 - 700 - 1_000 - 300 + 10_000, application.balance(ED))
    # The PIN is forgotten without power.
    application.restart()
    init_load(application, "6982")
