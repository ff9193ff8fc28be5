"""Grey locks (灰锁, epurse.md 4.11, 7.6): a pump locks the purse, fills, and debits; or a host unlocks it."""

from ciphers import des, expect, tdes, tmac
from purse import COMPOSITE, EP, MOMENT, OWN_TERMINAL, PURCHASE, OwnSam
from purse import after, begin, load, log_record, money, purchase

LOCKED, DEBITED, LOCK, DEBIT, ONLINE = 0x01, 0x10, 0x92, 0x93, 0x95
FREE = bytes(30)


class OwnPump:
    """A pump whose PSAM is computed here."""

    terminal = OWN_TERMINAL

    def __init__(self):
        self.sequence = 0x1FFFE

    def lock(self, application, random, counter, balance):
        sequence = self.sequence.to_bytes(4, "big")
        self.sequence += 2
        terminal_random = bytes.fromhex("E1E2E3E4")
        session = lock_session(application, random, counter, sequence, terminal_random)
        return sequence, terminal_random, tmac(session, bytes([LOCK]) + self.terminal + MOMENT)

    def certify(self, mac2):
        """The caller has compared it."""

    def gmac(self, application, session, counter, amount):
        return tmac(session, amount)


class SamPump:
    """A pump with a PSAM in a reader."""

    def __init__(self, psam, terminal):
        self.psam, self.terminal = psam, terminal

    def lock(self, application, random, counter, balance):
        data = random + counter + balance + bytes([LOCK]) + MOMENT + bytes.fromhex("0100")
        data += application.asn + application.factor
        answer = self.psam.ask(bytes([0xE0, 0x40, 0x00, 0x00, len(data)]) + data + b"\x0c")
        return answer[:4], answer[4:8], answer[8:]

    def certify(self, mac2, status="9000"):
        self.psam.ask(bytes.fromhex("E042000004") + mac2, status)

    def gmac(self, application, session, counter, amount):
        data = bytes([DEBIT]) + application.asn + counter + amount
        # Another card's, another counter's: it vouches for neither, and then for this one, once.
        for wrong in (bytes([DEBIT]) + bytes(8) + counter + amount, data[:9] + after(counter) + amount):
            self.psam.ask(bytes.fromhex("E04400000F") + wrong + b"\x08", "6985")
        gmac = self.psam.ask(bytes.fromhex("E04400000F") + data + b"\x08")
        self.psam.ask(bytes.fromhex("E04400000F") + data + b"\x08", "6985")
        expect("GMAC of the PSAM", tmac(session, amount) + bytes(4), gmac)
        return gmac[:4]


def lock_session(application, random, counter, sequence, terminal_random):
    first = tdes(application.keys["purchase"], random + counter + sequence[2:])
    return des(first, terminal_random + bytes.fromhex("80000000"))


def lock_proof(application, p1=0):
    return application.card.ask(bytes([0xE0, 0xCA, p1, 0x00, 0x1E]))


def init_lock(application, terminal, status="9000"):
    return application.card.ask(bytes.fromhex("E07A08020701") + terminal + b"\x0f", status)


def lock(application, pump):
    """INIT FOR GREY LOCK and GREY LOCK; returns session key, counter before, and sequence."""
    offer = init_lock(application, pump.terminal)
    balance, counter, random = offer[:4], offer[4:6], offer[11:]
    sequence, terminal_random, mac1 = pump.lock(application, random, counter, balance)
    session = lock_session(application, random, counter, sequence, terminal_random)
    expect("MAC1 of the lock", tmac(session, bytes([LOCK]) + pump.terminal + MOMENT), mac1)
    command = bytes.fromhex("E07C080013") + sequence + terminal_random + MOMENT + mac1 + b"\x08"
    answer = application.card.ask(command)
    terms = balance + counter + bytes([LOCK]) + pump.terminal + sequence + MOMENT
    gtac, mac2 = tmac(application.tac_key, terms), tmac(session, balance + counter)
    expect("GTAC and MAC2 of the lock", gtac + mac2, answer)
    pump.certify(mac2)
    proof = bytes([LOCKED, LOCK, EP]) + balance + after(counter) + pump.terminal + MOMENT + sequence + gtac
    expect("proof of the lock", proof, lock_proof(application))
    expect("proof asked by type and counter", mac2 + gtac, application.proof(LOCK, counter))
    expect("record of the lock", log_record(counter, bytes(4), LOCK, pump.terminal), application.log())
    return session, counter, sequence


def debit(terminal, sequence, counter, amount, gmac):
    """DEBIT FOR UNLOCK: counter and sequence are one further than at the lock."""
    sequence = (int.from_bytes(sequence, "big") + 1).to_bytes(4, "big")
    command = bytes.fromhex("E07E08021B") + amount + after(counter) + terminal + sequence
    return sequence, command + MOMENT + gmac + b"\x04"


def sell(application, pump, fen):
    """A lock, a power cut at the pump, and the debit."""
    amount, before = money(fen), application.balance()
    session, counter, sequence = lock(application, pump)
    for p1 in (PURCHASE, COMPOSITE):
        begin(application, p1, EP, 1, OWN_TERMINAL, "9408")
    init_lock(application, pump.terminal, "9408")
    application.restart()
    gmac = pump.gmac(application, session, counter, amount)
    wrong = bytes(byte ^ 1 for byte in gmac)
    application.card.ask(debit(pump.terminal, sequence, counter, amount, wrong)[1], "9302")
    too_much = money(before + 1)
    application.card.ask(debit(pump.terminal, sequence, counter, too_much, gmac)[1], "9401")
    application.card.ask(debit(pump.terminal, sequence, after(counter), amount, gmac)[1], "9406")
    sequence, command = debit(pump.terminal, sequence, counter, amount, gmac)
    tac = application.card.ask(command)
    terms = amount + bytes([DEBIT]) + pump.terminal + sequence + MOMENT
    expect("TAC of the debit", tmac(application.tac_key, terms), tac)
    expect("balance", before - fen, application.balance())
    expect("record of the debit", log_record(counter, amount, DEBIT, pump.terminal), application.log())
    expect("proof by type and counter", bytes(4) + tac, application.proof(DEBIT, after(counter)))
    # The TAC was not read as long as nobody says so; no lock until then.
    proof = bytes([DEBITED, DEBIT, EP]) + amount + after(counter) + pump.terminal + MOMENT + sequence + tac
    expect("proof of the debit", proof, lock_proof(application))
    init_lock(application, pump.terminal, "6985")
    expect("proof at its last reading", proof, lock_proof(application, 1))
    expect("no lock any more", FREE, lock_proof(application))


def unlock_online(application, fen):
    """A card that left the pump: its host debits what was filled."""
    amount, before = money(fen), application.balance()
    lock(application, OwnPump())
    terminal = lock_proof(application)[9:15]
    answer = application.card.ask(bytes.fromhex("E07A09020701") + terminal + b"\x12")
    balance, offline, online, random, mac1 = (
        answer[:4], answer[4:6], answer[6:8], answer[10:14], answer[14:]
    )
    session = tdes(application.keys["grey-unlock"], random + online + b"\x80\x00")
    what = balance + offline + bytes([ONLINE]) + terminal
    expect("MAC1 of the online unlock", tmac(session, what), mac1)
    terms = amount + bytes([ONLINE]) + terminal
    mac2 = tmac(session, terms + MOMENT)
    mac3 = application.card.ask(bytes.fromhex("E07E09000F") + amount + MOMENT + mac2 + b"\x04")
    new = money(before - fen)
    expect("MAC3 of the online unlock", tmac(session, new + online + terms + MOMENT), mac3)
    expect("balance", before - fen, application.balance())
    expect("no lock any more", FREE, lock_proof(application))
    expect("record of the unlock", log_record(online, amount, ONLINE, terminal), application.log())
    expect("proof of the unlock", mac3 + bytes(4), application.proof(ONLINE, online))


def run(application, psam, terminal):
    load(application, 20_000)
    expect("nothing locked", FREE, lock_proof(application))
    sell(application, SamPump(psam, terminal), 4_500)
    sell(application, OwnPump(), 0)
    unlock_online(application, 1_000)
    unlock_online(application, 0)
    # The purse pays again, and loads.
    purchase(application, OwnSam(), 10)
    load(application, 10)
    # A card that lies about its lock is not certified, and nothing is vouched for.
    psam_lock = SamPump(psam, terminal)
    psam_lock.lock(application, bytes(4), bytes(2), money(100))
    psam_lock.certify(bytes(4), "9302")
    psam.ask(bytes.fromhex("E04400000F") + bytes([DEBIT]) + application.asn + bytes(6) + b"\x08", "6985")
    return application.balance()
