"""A channel to a card in a reader, through pcscd."""

from ciphers import expect, show, tdes
from smartcard.scard import SCARD_RESET_CARD
from smartcard.System import readers


class Channel:
    """A card in a reader, whatever others did with it before."""

    def __init__(self, number):
        self.connection = readers()[number].createConnection()
        self.connection.connect()
        self.reset()

    def reset(self):
        self.connection.reconnect(disposition=SCARD_RESET_CARD)

    def ask(self, command, status="9000"):
        """Sends a command, hex or bytes; returns the data of the answer, which must have this status word."""
        command = bytes.fromhex(command) if isinstance(command, str) else command
        data, sw1, sw2 = self.connection.transmit(list(command))
        expect(f"answer to {show(command)}", status, f"{sw1:02X}{sw2:02X}")
        return bytes(data)

    def challenge(self):
        """IV of a secure message: the challenge, filled up with zeros."""
        return self.ask("0084000004") + bytes(4)

    def authenticate(self, id, key):
        """EXTERNAL AUTHENTICATE."""
        self.ask(bytes([0x00, 0x82, 0x00, id, 8]) + tdes(key, self.ask("0084000008")))
