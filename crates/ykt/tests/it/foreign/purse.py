"""Loads and payments of a terminal and a load host that nobody here wrote; every MAC and TAC is computed again.

The first application paid with is the city's, with the city's PSAM as it left the desk.
"""

from ciphers import city_factor, expect, finished_keys, halves, tdes, tmac

CITY_APPLICATION = bytes.fromhex("A00000000386980701")
ED, EP = 1, 2
LOAD_TERMINAL = bytes.fromhex("FEEDFEED0001")
OWN_TERMINAL = bytes.fromhex("FEEDFEED0002")
MOMENT = bytes.fromhex("20261122093015")
PURCHASE, CASH, COMPOSITE = 0x01, 0x02, 0x03


class Purse:
    """An application on a card, chosen by its name, with the keys of its card."""

    def __init__(self, card, name, keys, factor, asn):
        self.card, self.name, self.keys, self.factor, self.asn = card, name, keys, factor, asn
        self.tac_key = halves(keys["tac"])

    def select(self, status="9000"):
        return self.card.ask(bytes([0x00, 0xA4, 0x04, 0x00, len(self.name)]) + self.name + b"\x00", status)

    def balance(self, purse=EP):
        return int.from_bytes(self.card.ask(bytes([0x80, 0x5C, 0x00, purse, 4])), "big")

    def log(self, number=1):
        return self.card.ask(bytes([0x00, 0xB2, number, 0xC4, 0x17]))

    def proof(self, type, counter, status="9000"):
        """GET TRANSACTION PROVE."""
        return self.card.ask(bytes([0x80, 0x5A, 0x00, type, 2]) + counter + b"\x08", status)

    def restart(self):
        self.card.reset()
        self.select()


def money(fen):
    return fen.to_bytes(4, "big")


def after(counter):
    return (int.from_bytes(counter, "big") + 1).to_bytes(2, "big")


def log_record(counter, amount, type, terminal):
    return after(counter) + bytes(3) + amount + bytes([type]) + terminal + MOMENT


def begin(application, p1, purse, amount, terminal, status="9000"):
    """INITIALIZE FOR PURCHASE, CASH WITHDRAW or CAPP PURCHASE; returns counter, key version and random number."""
    command = bytes([0x80, 0x50, p1, purse, 0x0B, 1]) + money(amount) + terminal + b"\x0f"
    answer = application.card.ask(command, status)
    return answer[4:6], answer[9:11], answer[11:]


def load(application, fen, purse=EP):
    amount, type = money(fen), bytes([purse])
    card, keys = application.card, application.keys
    answer = card.ask(bytes([0x80, 0x50, 0x00, purse, 0x0B, 1]) + amount + LOAD_TERMINAL + b"\x10")
    balance, counter, random, mac1 = answer[:4], answer[4:6], answer[8:12], answer[12:]
    session = tdes(keys["load"], random + counter + b"\x80\x00")
    expect("MAC1 of the load", tmac(session, balance + amount + type + LOAD_TERMINAL), mac1)
    terms = amount + type + LOAD_TERMINAL + MOMENT
    tac = card.ask(bytes.fromhex("805200000B") + MOMENT + tmac(session, terms) + b"\x04")
    new = money(int.from_bytes(balance, "big") + fen)
    expect("TAC of the load", tmac(application.tac_key, new + counter + terms), tac)
    expect("proof of the load", bytes(4) + tac, application.proof(purse, counter))
    expect("record of the load", log_record(counter, amount, purse, LOAD_TERMINAL), application.log())


class OwnSam:
    """A PSAM of our own computing."""

    terminal = OWN_TERMINAL

    def __init__(self, sequence=7):
        self.sequence = sequence

    def sign(self, application, random, counter, amount, type, version):
        self.sequence += 1
        sequence = self.sequence.to_bytes(4, "big")
        session = tdes(application.keys["purchase"], random + counter + sequence[2:])
        return sequence, tmac(session, amount + bytes([type]) + self.terminal + MOMENT)

    def credit(self, mac2):
        """The caller has compared it."""


class CardSam:
    """A PSAM in a reader, its application selected."""

    def __init__(self, psam, terminal):
        self.psam, self.terminal = psam, terminal

    def sign(self, application, random, counter, amount, type, version):
        data = random + counter + amount + bytes([type]) + MOMENT + version
        data += application.asn + application.factor
        answer = self.psam.ask(bytes([0x80, 0x70, 0x00, 0x00, len(data)]) + data + b"\x08")
        return answer[:4], answer[4:]

    def credit(self, mac2, status="9000"):
        self.psam.ask(bytes.fromhex("8072000004") + mac2, status)


def debit(sequence, mac1):
    return bytes.fromhex("805401000F") + sequence + MOMENT + mac1 + b"\x08"


def purchase(application, sam, fen, purse=EP, p1=PURCHASE, records=(), answer_is_lost=False):
    """A purchase, plain, composite (`records`: commands that change them), or cash at a counter."""
    amount, type = money(fen), {PURCHASE: 0x04 + purse, CASH: 0x04, COMPOSITE: 0x09}[p1]
    counter, version, random = begin(application, p1, purse, fen, sam.terminal)
    sequence, mac1 = sam.sign(application, random, counter, amount, type, version)
    session = tdes(application.keys["purchase"], random + counter + sequence[2:])
    terms = amount + bytes([type]) + sam.terminal
    expect("MAC1 of the purchase", tmac(session, terms + MOMENT), mac1)
    for record in records:
        application.card.ask(record)
    answer = application.card.ask(debit(sequence, mac1))
    if answer_is_lost:
        # The card left the reader: only what it says when it is back may be used from here on.
        answer = None
        application.restart()
    record = log_record(counter, amount, type, sam.terminal)
    expect("record of the purchase", record, application.log())
    proof = application.proof(type, record[:2])
    expect("proof asked with the counter before", proof, application.proof(type, counter))
    mac2, tac = proof[:4], proof[4:]
    expect("answer to the purchase", answer or tac + mac2, tac + mac2)
    expect("MAC2 of the purchase", tmac(session, amount), mac2)
    expect("TAC of the purchase", tmac(application.tac_key, terms + sequence + MOMENT), tac)
    sam.credit(mac2)


def lose_request(application, sam):
    """The card leaves before the debit comes: it has paid nothing, and says so."""
    before = application.balance(), application.log()
    counter, version, random = begin(application, PURCHASE, EP, 10, sam.terminal)
    sam.sign(application, random, counter, money(10), 0x06, version)
    application.restart()
    application.proof(0x06, after(counter), "9406")
    expect("balance and log after a lost request", before, (application.balance(), application.log()))


def city_application(card, masters):
    """The city's application, with the keys of the card it is found on."""
    card.ask(bytes.fromhex("00A4040009") + CITY_APPLICATION)
    public = card.ask("00B095001E")
    factor, asn = city_factor(public[2:4]), public[12:20]
    return Purse(card, CITY_APPLICATION, finished_keys(masters, factor, asn), factor, asn)


def run(city, psam):
    """Loads the city's purse and pays with it; returns the balance."""
    terminal = psam.ask("00B0960006")
    psam.ask("00A4000002DF0100")
    before = city.balance()
    load(city, 3000)
    purchase(city, OwnSam(), 120)
    purchase(city, CardSam(psam, terminal), 80)
    purchase(city, CardSam(psam, terminal), 60, answer_is_lost=True)
    lose_request(city, CardSam(psam, terminal))
    expect("balance", before + 3000 - 120 - 80 - 60, city.balance())
    return city.balance()
