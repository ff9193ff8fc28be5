"""Another issuer's personalisation: an application beside the city's on its card, and one on its PSAM.

The card's has both purses, files for composite purchases, every transaction key and a PIN; the PSAM's has a
key of every kind a terminal needs for such cards. The city's master keys open the door, as to a partner of it.
"""

from ciphers import city_factor, enciphered, finished_keys, with_mac

APPLICATION = b"FOREIGN.CARD"
SAM_APPLICATION = b"FOREIGN.PSAM"
CITY = bytes.fromhex("3100")
ASN = bytes.fromhex("3100000000000047")
FACTOR = city_factor(CITY)
# Issuer, city, industry, class, enabled, version, interoperability; number; dates; reserved (epurse.md 6.4).
PUBLIC_DATA = CITY + CITY + bytes.fromhex("00010100 01010001") + ASN + bytes.fromhex("20260101 20361231 0000")
RIDE = bytes.fromhex("27020D01") + bytes(12)
# EF 0019 of the PSAM's application, which counts there.
FIRST_SEQUENCE = bytes.fromhex("000000F0")

# Kind in the key file, usage and id on the card, right of use (epurse.md 3.1).
CARD_KEYS = [
    ("application-maintenance", 0x36, 0, 0xF0),
    ("purchase", 0x3E, 1, 0xF0),
    ("load", 0x3F, 1, 0xF0),
    ("tac", 0x34, 1, 0xEF),  # never: it makes TACs and nothing else
    ("internal-authentication", 0x34, 2, 0xF0),
    ("unload", 0x3D, 1, 0xF0),
    ("overdraft", 0x3C, 1, 0xF0),
    ("grey-unlock", 0x3B, 1, 0xF0),
    ("pin-unblock", 0x37, 0, 0xF0),
    ("pin-reload", 0x38, 0, 0xF0),
]
# Usage byte: 40 two levels left, and the type (epurse.md 7.2); version; kind in the key file.
SAM_KEYS = [
    (0x01, 1, "psam-application-maintenance"),
    (0x42, 1, "purchase"),
    (0x42, 9, "load"),  # no card has it: its tries are for wrong MACs
    (0x43, 1, "pin-unblock"),
    (0x44, 1, "tac"),
    (0x44, 2, "pin-reload"),
    (0x45, 1, "application-maintenance"),
    (0x46, 1, "application-maintenance"),
    (0x47, 1, "internal-authentication"),
    (0x0A, 1, "unload"),  # of M1 sectors: no level left
]

EF_BINARY, EF_FIXED, EF_VARIABLE, EF_CYCLIC, EF_PURSE = 0x28, 0x2A, 0x2C, 0x2E, 0x2F
WITH_MAC, ENCIPHERED = 0x80, 0xC0


def create(channel, fid, kind, size, rights="F0F0", last="FF"):
    channel.ask(bytes.fromhex(f"80E0{fid}07{kind:02X}{size}{rights}FF{last}"))


def create_application(channel, fid, size, name):
    data = bytes.fromhex(f"38{size}01EF95FFFF") + name
    channel.ask(bytes.fromhex("80E0" + fid) + bytes([len(data)]) + data)
    channel.ask("00A4000002" + fid)
    create(channel, "0000", 0x3F, "0130", "95F0", "FF")


def write_key(channel, control, id, usage, attributes, key):
    """WRITE KEY in the layout of the source documents (epurse.md 0)."""
    header = bytes([0x84, 0xD4, 0x80 | id, usage])
    channel.ask(enciphered(control, channel.challenge(), header, attributes + key))


def write_sam_key(channel, control, usage, version, key):
    data = bytes([usage, version, 0x00]) + key
    channel.ask(enciphered(control, channel.challenge(), bytes.fromhex("84D40000"), data))


def personalise_card(card, masters, pin):
    """Makes the application on the city's card; returns its keys."""
    card.ask("00A4040009A00000000386980701")
    public = card.ask("00B095001E")
    citys = finished_keys(masters, city_factor(public[2:4]), public[12:20])
    card.ask("00A4000000")
    card.authenticate(0, citys["card-master"])
    keys = finished_keys(masters, FACTOR, ASN)
    create_application(card, "3F47", "0640", APPLICATION)
    control = keys["application-master"]
    # Version, algorithm, usage, right of use, state after it, right to change, tries.
    write_key(card, citys["card-master"], 0, 0x39, bytes.fromhex("010039F00FF033"), control)
    for kind, usage, id, right in CARD_KEYS:
        attributes = bytes([1, 0x00, usage, right, 0x00, 0xF0, 0x33])
        write_key(card, control, id, usage, attributes, keys[kind])
    attributes = bytes([1, len(pin), 0x3A, 0xF0, 0x01, 0xF0, 0x33])
    write_key(card, control, 0, 0x3A, attributes, pin.ljust(6, b"\xff"))

    create(card, "0015", EF_BINARY | WITH_MAC, "001E")
    create(card, "0016", EF_BINARY | ENCIPHERED, "0027")
    create(card, "0018", EF_CYCLIC, "0A17", "F0EF")
    create(card, "0001", EF_PURSE, "0208", "F000", "18")
    create(card, "0002", EF_PURSE, "0208", "F000", "18")
    create(card, "0017", EF_FIXED, "0310")
    create(card, "001A", EF_VARIABLE | WITH_MAC, "0060")
    create(card, "001E", EF_CYCLIC | WITH_MAC, "0330")
    maintenance = keys["application-maintenance"]
    card.ask(with_mac(maintenance, card.challenge(), bytes.fromhex("04D69500"), PUBLIC_DATA))
    for record in (bytes.fromhex("2701") + bytes(20), RIDE):
        card.ask(with_mac(maintenance, card.challenge(), bytes.fromhex("04E200D0"), record))
    return keys


def personalise_psam(psam, masters):
    """Makes the application on the city's PSAM; returns the terminal id."""
    psam.ask("00A4000000")
    serial, terminal = psam.ask("00B095000A"), psam.ask("00B0960006")
    of_psam = finished_keys(masters, serial[2:])
    psam.authenticate(0, of_psam["psam-master"])
    create_application(psam, "DF47", "0240", SAM_APPLICATION)
    control = of_psam["psam-application-master"]
    write_sam_key(psam, of_psam["psam-master"], 0x00, 1, control)
    for usage, version, kind in SAM_KEYS:
        own = of_psam if usage == 0x01 else masters
        write_sam_key(psam, control, usage, version, own[kind])
    create(psam, "0018", EF_BINARY, "0001")
    create(psam, "0019", EF_BINARY, "0004")
    psam.ask(bytes.fromhex("00D6990004") + FIRST_SEQUENCE)
    return terminal
