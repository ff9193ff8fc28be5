"""Composite purchases (复合应用消费, epurse.md 4.10): money and records change together, or not at all."""

from ciphers import expect
from purse import COMPOSITE, EP, OWN_TERMINAL, OwnSam, begin, debit, load, money, purchase

# Rides in 001A are found by their first two bytes, lines of 001E are a ring, 0017 has records by number.
# A ride (epurse.md 6.7): identifier, length, valid, mode, lock flag; sequence; state; reserved.
ABOARD = bytes.fromhex("27020D01 01 00 0000000000000001 01 00")
ALIGHTED = bytes.fromhex("27020D01 01 00 0000000000000001 02 00")
LOCKED = bytes.fromhex("27020D01 01 01 0000000000000001 02 00")
PASS = bytes(range(0x40, 0x50))


def cache(p1, p2, data):
    """UPDATE CAPP DATA CACHE."""
    return bytes([0x80, 0xDC, p1, p2, len(data)]) + data


def by_identifier(sfi, data):
    return cache(data[0], sfi << 3, data)


def by_number(sfi, number, data):
    return cache(number, sfi << 3 | 4, data)


def append(sfi, data, low=0):
    return cache(0x00, sfi << 3 | low, data)


def line(number):
    return bytes([0x06, number]) + bytes(46)


def records(card):
    """All that composite purchases may have changed."""
    rides = [card.ask(f"00B2{number:02X}D400") for number in (1, 2)]
    passes = [card.ask(f"00B2{number:02X}BC10") for number in (1, 2, 3)]
    return rides, passes


def ride(application, sam, fen, records, answer_is_lost=False):
    purchase(application, sam, fen, p1=COMPOSITE, records=records, answer_is_lost=answer_is_lost)


def run(application, sam):
    card = application.card
    load(application, 10_000)
    others = card.ask("00B201D400")

    # Boarding: nothing is paid yet, and three files change.
    boarding = [by_identifier(0x1A, ABOARD), by_number(0x17, 2, PASS), append(0x1E, line(1))]
    ride(application, sam, 0, boarding)
    expect("records after boarding", ([others, ABOARD], [bytes(16), PASS, bytes(16)]), records(card))
    expect("line", line(1), card.ask("00B201F430"))
    card.ask("00B202F430", "6A83")

    ride(application, sam, 250, [by_identifier(0x1A, ALIGHTED), append(0x1E, line(2), low=3)])
    expect("ride", ALIGHTED, card.ask("00B202D410"))
    expect("ride by identifier", others, card.ask("00B227D000"))
    # Two lines at once, one more than the ring has room for.
    ride(application, sam, 100, [append(0x1E, line(3)), append(0x1E, line(4))])
    expect("ring", [line(4), line(3), line(2)], [card.ask(f"00B20{number}F430") for number in (1, 2, 3)])
    card.ask("00B204F430", "6A83")

    # Its answer is lost: records and money are those of the purchase, and the PSAM hears MAC2 from the proof.
    ride(application, sam, 50, [by_identifier(0x1A, ABOARD)], answer_is_lost=True)
    expect("ride after a lost answer", ABOARD, card.ask("00B202D410"))
    balance = application.balance()
    expect("balance", 10_000 - 250 - 100 - 50, balance)
    unpaid(application, OwnSam(), "context lost in between", application.balance, "6901")
    unpaid(application, OwnSam(), "power lost in between", application.restart, "6901")
    unpaid(application, OwnSam(), "wrong MAC1", None, "9302")
    unpaid(application, OwnSam(), "no such record", lambda: card.ask(by_number(0x17, 4, PASS), "6A83"), "6901")
    unpaid(application, OwnSam(), "another length", lambda: card.ask(append(0x1E, PASS), "6700"), "6901")
    unpaid(application, OwnSam(), "the log", lambda: card.ask(append(0x18, bytes(23)), "6982"), "6901")
    # A purchase without any record is one too, and nothing cached before is in it.
    ride(application, sam, 1, [])
    expect("ride after purchases that failed", ABOARD, card.ask("00B202D410"))
    card.ask(by_identifier(0x1A, ALIGHTED), "6901")
    # A ride that locks itself is not changed by the next purchase.
    ride(application, sam, 0, [by_identifier(0x1A, LOCKED)])
    begin(application, COMPOSITE, EP, 10, OWN_TERMINAL)
    card.ask(by_identifier(0x1A, ALIGHTED), "6985")
    return application.balance()


def unpaid(application, sam, what, between, status):
    """A composite purchase that something ends: no money, no record, no counter."""
    before = records(application.card), application.balance(), application.log()
    counter, version, random = begin(application, COMPOSITE, EP, 10, OWN_TERMINAL)
    sequence, mac1 = sam.sign(application, random, counter, money(10), 0x09, version)
    application.card.ask(by_identifier(0x1A, ALIGHTED))
    application.card.ask(by_number(0x17, 1, PASS))
    if between:
        between()
    else:
        mac1 = bytes(byte ^ 1 for byte in mac1)
    application.card.ask(debit(sequence, mac1), status)
    after = records(application.card), application.balance(), application.log()
    expect(f"money and records after {what}", before, after)
