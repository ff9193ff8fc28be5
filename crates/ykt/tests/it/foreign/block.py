"""Secure messaging (epurse.md 2.1), and the application blocked, unblocked, and blocked for good."""

from ciphers import enciphered, expect, pad, smac, untdes, with_mac
from issue import PUBLIC_DATA
from purse import EP, OWN_TERMINAL, PURCHASE, OwnSam, begin, purchase
from sam import cipher, deliver

BLOCK, BLOCK_FOR_GOOD, UNBLOCK = (bytes.fromhex(header) for header in ("841E0000", "841E0001", "84180000"))


def by_own_mac(application, header, status="9000", key=None):
    key = key or application.keys["application-maintenance"]
    application.card.ask(with_mac(key, application.card.challenge(), header, b""), status)


def by_psam(application, psam, header):
    """As a terminal does it that meets a card of the blacklist."""
    deliver(psam, 0x45, 1, application.asn, application.factor)
    mac = cipher(psam, 0x05, application.card.challenge() + pad(header + b"\x04"))
    application.card.ask(header + b"\x04" + mac)


def write_and_read(application):
    card, key = application.card, application.keys["application-maintenance"]
    at_20 = bytes.fromhex("04D69514")
    card.ask(with_mac(key, card.challenge(), at_20, bytes.fromhex("20270101")))
    card.ask(with_mac(key, card.challenge(), at_20, bytes.fromhex("20280101"))[:-1] + b"\x00", "6988")
    card.ask(with_mac(key, bytes(8), at_20, bytes.fromhex("20280101")), "6984")
    card.ask("00D6951404" + "20280101", "6987")
    # The challenge serves the next command only, whatever that is.
    iv = card.challenge()
    card.ask("00B0950001")
    card.ask(with_mac(key, iv, at_20, bytes.fromhex("20280101")), "6984")
    # Seven bytes and their length fill a block: another block of padding follows.
    for data in (bytes.fromhex("20270202"), bytes.fromhex("20270303203702")):
        card.ask(enciphered(key, card.challenge(), bytes.fromhex("84D69514"), data))
        expect("file", data, card.ask(bytes([0x00, 0xB0, 0x95, 20, len(data)])))
    read = protected_read(application, "04B09500", 20)
    expect("protected reading", PUBLIC_DATA[:20], read)
    name = "张三".encode("gbk")
    card.ask(with_mac(key, card.challenge(), bytes.fromhex("04D69602"), name), "6987")
    card.ask(enciphered(key, card.challenge(), bytes.fromhex("84D69602"), name))
    read = untdes(key, protected_read(application, "04B09602", 4))
    expect("enciphered reading", pad(bytes([len(name)]) + name), read)


def protected_read(application, header, len):
    """What a card answers with a MAC: data, or a cryptogram where the file wants one."""
    card, key = application.card, application.keys["application-maintenance"]
    iv = card.challenge()
    answer = card.ask(with_mac(key, iv, bytes.fromhex(header), b"") + bytes([len]))
    data, mac = answer[:-4], answer[-4:]
    expect("MAC of the reading", smac(key, iv, data), mac)
    return data


def run(application, psam):
    card = application.card
    write_and_read(application)
    by_own_mac(application, BLOCK, "6988", key=application.keys["pin-unblock"])
    by_psam(application, psam, BLOCK)
    for _ in range(2):
        begin(application, PURCHASE, EP, 1, OWN_TERMINAL, "6A81")
        card.ask("00B095001E")
        card.reset()
        application.select("6283")
    by_own_mac(application, UNBLOCK, "6988", key=application.keys["pin-unblock"])
    by_own_mac(application, UNBLOCK)
    application.select()
    purchase(application, OwnSam(), 1)
    by_own_mac(application, BLOCK)
    by_psam(application, psam, UNBLOCK)
    by_own_mac(application, UNBLOCK, "6985")
    application.select()
    balance = application.balance()
    by_own_mac(application, BLOCK_FOR_GOOD)
    application.select("9303")
    card.reset()
    application.select("9303")
    card.ask("00A40000023F47", "9303")
    card.ask("00A4000000")
    return balance
