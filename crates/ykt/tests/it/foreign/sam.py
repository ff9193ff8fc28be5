"""A PSAM's other work (epurse.md 7.4): it counts wrong MAC2, and delivers keys for MACs and encipherment."""

from ciphers import expect, halves, pad, retail, smac, tdes, tmac
from purse import MOMENT

TRIES = 15
DATA = bytes(range(0x30))
IV = bytes.fromhex("A1B2C3D4E5F60718")


def deliver(psam, usage, version, *factors):
    """DELIVERY KEY."""
    data = b"".join(factors)
    psam.ask(bytes([0x80, 0x1A, usage, version, len(data)]) + data)


def cipher(psam, mode, data, status="9000"):
    """CIPHER DATA."""
    return psam.ask(bytes([0x80, 0xFA, mode, 0x00, len(data)]) + data, status)


def sign(psam, version, factors, status="9000"):
    """INIT SAM FOR PURCHASE of a card that is not there."""
    data = bytes.fromhex("5A5B5C5D 0000 00000096 06") + MOMENT + bytes([version, 0x00]) + factors
    return psam.ask(bytes([0x80, 0x70, 0x00, 0x00, len(data)]) + data + b"\x08", status)


def credit(psam, mac2, status):
    psam.ask(bytes.fromhex("8072000004") + mac2, status)


def count_wrong_macs(psam, application):
    factors = application.asn + application.factor

    def wrong_macs():
        return psam.ask("00B0980001")[0]

    def right_mac():
        answer = sign(psam, 1, factors)
        session = tdes(application.keys["purchase"], bytes.fromhex("5A5B5C5D 0000") + answer[2:4])
        credit(psam, tmac(session, bytes.fromhex("00000096")), "9000")
        expect("wrong MAC2 after a right one", 0, wrong_macs())
        return int.from_bytes(answer[:4], "big")

    sequence = right_mac()
    for wrong in (1, 2):
        sign(psam, 1, factors)
        credit(psam, bytes(4), "9302")
        credit(psam, bytes(4), "6901")
        expect("wrong MAC2 in a row", wrong, wrong_macs())
    expect("sequence, which every INIT SAM moves", sequence + 3, right_mac())
    # A key that no card has loses its tries; the other keeps them.
    for _ in range(TRIES):
        sign(psam, 9, factors)
        credit(psam, bytes(4), "9302")
    sign(psam, 9, factors, "6983")
    right_mac()


def deliver_and_compute(psam, application):
    factors = (application.asn, application.factor)
    cipher(psam, 0x00, DATA[:8], "6985")

    # A TAC, as a terminal checks one.
    deliver(psam, 0x44, 1, *factors)
    tac = tmac(halves(application.keys["tac"]), DATA[:21])
    expect("TAC", tac, cipher(psam, 0x05, bytes(8) + pad(DATA[:21])))
    cipher(psam, 0x00, DATA[:8], "6985")

    # Secure messaging at once, and in pieces; nothing may come between.
    deliver(psam, 0x46, 1, *factors)
    key = application.keys["application-maintenance"]
    expect("MAC at once", retail(key, IV, DATA[:0x28]), cipher(psam, 0x05, IV + DATA[:0x28]))
    cipher(psam, 0x07, IV + DATA[:0x10])
    cipher(psam, 0x03, DATA[0x10:0x20])
    cipher(psam, 0x03, DATA[0x20:0x28])
    expect("MAC in pieces", retail(key, IV, DATA), cipher(psam, 0x01, DATA[0x28:]))
    cipher(psam, 0x07, IV + DATA[:0x10])
    psam.ask("00B0990004")
    cipher(psam, 0x01, DATA[0x10:0x20], "6985")
    expect("padded by the caller", smac(key, IV, DATA[:5]), cipher(psam, 0x05, IV + pad(DATA[:5])))

    # Encipherment, more to follow and last.
    deliver(psam, 0x47, 1, *factors)
    key = application.keys["internal-authentication"]
    expect("cryptogram, more to follow", tdes(key, DATA), cipher(psam, 0x02, DATA))
    expect("cryptogram", tdes(key, DATA[:8]), cipher(psam, 0x00, DATA[:8]))
    cipher(psam, 0x05, IV + DATA[:8], "6985")
    cipher(psam, 0x00, DATA[:7], "6700")
    cipher(psam, 0x00, bytes(0x38), "6700")
    # Keys with commands of their own stay inside; the refusal takes the key before with it.
    psam.ask(bytes.fromhex("801A420110") + application.asn + application.factor, "6985")
    cipher(psam, 0x00, DATA[:8], "6985")
    psam.ask(bytes.fromhex("801A480110") + application.asn + application.factor, "6A88")


def derive_m1_keys(psam, master):
    """Keys A of three sectors of an M1 card (epurse.md 7.4, 8.5)."""
    city, uid, serial, code = (bytes.fromhex(part) for part in ("3100", "1A2B3C4D", "0001", "AC000000"))
    ids = bytes.fromhex("020307")
    data = city + uid + serial + code + ids
    keys = psam.ask(bytes.fromhex("80FC0101") + bytes([len(data)]) + data)
    own = [tdes(master, uid + serial + code[:1] + bytes([id]))[2:] for id in ids]
    expect("keys of the sectors", b"".join(own), keys)


def run(application, psam, masters):
    count_wrong_macs(psam, application)
    deliver_and_compute(psam, application)
    derive_m1_keys(psam, masters["unload"])
