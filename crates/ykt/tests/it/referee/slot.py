"""A reader of our own: what `card serve` keeps in a virtual reader sits in this one, without pcscd.

The wire is vpcd's: a length of two bytes and a message. To the card go one byte (0 power off, 1 on, 2 reset, 4: what is the
ATR?) or a command; back come the ATR and the answers.
"""

import ctypes
import signal
import socket
import subprocess
from struct import pack, unpack

from ciphers import expect, show, tdes

POWER_OFF, POWER_ON, ATR = b"\x00", b"\x01", b"\x04"
WAIT_S = 60
# <linux/prctl.h>
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """However this program ends, the one it started does not outlive it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def receive(line):
    head = line.recv(2, socket.MSG_WAITALL)
    if len(head) < 2:
        return None
    return line.recv(unpack(">H", head)[0], socket.MSG_WAITALL)


def send(line, message):
    line.sendall(pack(">H", len(message)) + message)


class Slot:
    """The slot with one card in it; as a context it takes the card out again."""

    def __init__(self, ykt, kind, image):
        with socket.create_server(("127.0.0.1", 0)) as door:
            door.settimeout(WAIT_S)
            at = "{}:{}".format(*door.getsockname())
            served = [ykt, kind, "serve", "--vpcd", at, image]
            self.card = subprocess.Popen(served, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
            self.line, _ = door.accept()
        self.line.settimeout(WAIT_S)
        send(self.line, POWER_ON)
        send(self.line, ATR)
        self.atr = receive(self.line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()
        self.card.kill()
        self.card.wait()

    def transmit(self, command):
        """The data and the status word of the answer."""
        command = bytes.fromhex(command) if isinstance(command, str) else command
        send(self.line, command)
        answer = receive(self.line)
        return answer[:-2], answer[-2:].hex().upper()

    def ask(self, command, status="9000"):
        """The data of the answer, which must have this status word."""
        data, found = self.transmit(command)
        expect(f"answer to {show(command)}", status, found)
        return data

    def challenge(self):
        return self.ask("0084000004") + bytes(4)

    def authenticate(self, id, key):
        self.ask(bytes([0x00, 0x82, 0x00, id, 8]) + tdes(key, self.ask("0084000008")))
