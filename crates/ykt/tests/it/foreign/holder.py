"""PIN and genuineness (epurse.md 2): what holder and counter do with a PIN, and a reader with a stranger."""

from ciphers import enciphered, expect, halves, tdes, tmac, with_mac
from sam import cipher, deliver

QUESTION = bytes.fromhex("A1B2C3D4E5F60718")
OTHER_PIN, THIRD_PIN = bytes.fromhex("654321"), bytes.fromhex("11223344")
TRIES = 3


def verify(card, pin, status="9000"):
    card.ask(bytes([0x00, 0x20, 0x00, 0x00, len(pin)]) + pin, status)


def change(card, old, new, status="9000"):
    data = old + b"\xff" + new
    card.ask(bytes([0x80, 0x5E, 0x01, 0x00, len(data)]) + data, status)


def reload(application, pin, status="9000", key=None):
    mac = tmac(halves(key or application.keys["pin-reload"]), pin)
    data = pin + mac
    application.card.ask(bytes([0x80, 0x5E, 0x00, 0x00, len(data)]) + data, status)


def unblock(application, p2, pin, status="9000", key=None):
    key = key or application.keys["pin-unblock"]
    header = bytes([0x84, 0x24, 0x00, p2])
    application.card.ask(enciphered(key, application.card.challenge(), header, pin), status)


def lock_out(card, wrong, right):
    for left in reversed(range(TRIES)):
        verify(card, wrong, f"63C{left}")
    verify(card, right, "6983")


def manage_pin(application, psam, pin):
    card, wrong = application.card, bytes.fromhex("999999")
    verify(card, wrong, "63C2")
    change(card, wrong, OTHER_PIN, "63C1")
    change(card, pin, OTHER_PIN)
    verify(card, pin, "63C2")
    verify(card, OTHER_PIN)

    # Its three tries gone, the PIN comes back by RELOAD PIN, with a MAC of our own or of the PSAM.
    lock_out(card, wrong, OTHER_PIN)
    change(card, OTHER_PIN, pin, "6983")
    reload(application, THIRD_PIN, "9302", key=application.keys["pin-unblock"])
    reload(application, THIRD_PIN)
    verify(card, THIRD_PIN)
    deliver(psam, 0x44, 2, application.asn, application.factor)
    mac = cipher(psam, 0x05, bytes(8) + pin + bytes.fromhex("8000000000"))
    card.ask(bytes.fromhex("805E000007") + pin + mac)
    verify(card, pin)

    # Or by PIN UNBLOCK: with its tries back, or with another value.
    lock_out(card, wrong, pin)
    unblock(application, 0x00, pin, "6988", key=application.keys["pin-reload"])
    unblock(application, 0x00, pin)
    verify(card, pin)
    lock_out(card, wrong, pin)
    unblock(application, 0x01, OTHER_PIN)
    verify(card, OTHER_PIN)
    change(card, OTHER_PIN, pin)
    card.ask(with_mac(bytes(16), bytes(8), bytes.fromhex("84240000"), bytes(8)), "6984")


def ask_card(card, id, status="9000"):
    return card.ask(bytes([0x00, 0x88, 0x00, id, 8]) + QUESTION + b"\x08", status)


def prove_genuine(application, psam):
    """INTERNAL AUTHENTICATE: an answer only this card can give, and the PSAM that knows it."""
    card = application.card
    answer = ask_card(card, 2)
    expect("answer to the question", tdes(application.keys["internal-authentication"], QUESTION), answer)
    deliver(psam, 0x47, 1, application.asn, application.factor)
    expect("answer by the PSAM", cipher(psam, 0x00, QUESTION), answer)
    ask_card(card, 1, "6982")  # the TAC key answers no questions
    ask_card(card, 5, "6A88")


def run(application, psam, pin):
    manage_pin(application, psam, pin)
    prove_genuine(application, psam)
