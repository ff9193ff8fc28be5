#!/usr/bin/env python3
"""A person at a terminal of 80 columns and 24 rows, for tests: waits for what the program shows, then types.

    typist.py COMMAND [ARGUMENT...] < steps

Steps are lines of JSON, done one after the other:

    {"see": "password of li:", "type": "Blue-Lamp-42"}  wait for the text behind what was seen before, then type a line
    {"see": "card:", "keys": "\u0003"}                  the same, with exactly these keys
    {"see": "li:", "type": "...", "ahead": "1234"}      the same, with a second line typed before anything asks for it
    {"see": "card:", "hang_up": true}                   the terminal is closed
    {"see": "code", "code": true}                       type the code of the authenticator whose secret is on the screen

A step may go without "see". At the end one JSON object says what the exit code was ("code"; the negative number of a
signal), everything that was ever shown ("shown"), what stands on the screen and above it at the end ("screen"), and whether
the terminal shows again what is typed ("echo"). A wait ends after two minutes, and the program with it.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata

COLUMNS, ROWS = 80, 24
WAIT_S_MAX = 120.0
# Which /dev/pts belongs to a pseudo-terminal; Python has no name for the question.
TIOCGPTN = 0x80045430
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """What stands on the screen, and above it: enough of a terminal for a dialogue."""

    def __init__(self):
        self.above, self.rows, self.row, self.column = [], [[]], 0, 0

    def show(self, text):
        at = 0
        while at < len(text):
            found = ESCAPE.match(text, at)
            if found:
                self.escape(found.group(1), found.group(2))
                at = found.end()
                continue
            self.sign(text[at])
            at += 1

    def escape(self, number, letter):
        if letter == "H":
            self.row, self.column = 0, 0
        elif letter == "J" and number == "2":
            self.rows = [[] for _ in self.rows]
        elif letter == "J" and number == "3":
            self.above = []

    def sign(self, sign):
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self.down()
        elif sign >= " ":
            width = 2 if unicodedata.east_asian_width(sign) in "WF" else 1
            if self.column + width > COLUMNS:
                self.down()
                self.column = 0
            # One cell a column; a wide sign leaves its second one empty.
            cells = self.rows[self.row]
            cells.extend(" " * (self.column + width - len(cells)))
            cells[self.column : self.column + width] = [sign, ""][:width]
            self.column += width

    def down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
        if self.row == ROWS:
            self.above.append(self.rows.pop(0))
            self.row -= 1

    def text(self):
        return "\n".join("".join(cells) for cells in self.above + self.rows)


class Terminal:
    def __init__(self, command):
        self.child, self.line = pty.fork()
        if self.child == 0:
            # A program that cannot be run must not go on as a second typist.
            try:
                os.execvp(command[0], command)
            finally:
                os._exit(127)
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.raw, self.shown, self.seen, self.screen = b"", "", 0, Screen()

    def read(self, seconds):
        """Takes what the program shows; False when it has ended, or shows nothing in that time."""
        if not select.select([self.line], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.line, 65536)
        except OSError:
            return False
        self.raw += part
        text = self.raw.decode("utf-8", "replace")
        whole = text.rstrip("\ufffd")
        self.screen.show(whole[len(self.shown) :])
        self.shown = whole
        return bool(part)

    def see(self, text):
        end = time.monotonic() + WAIT_S_MAX
        while (at := self.shown.find(text, self.seen)) < 0:
            if not self.read(max(0.0, end - time.monotonic())):
                os.kill(self.child, signal.SIGKILL)
                sys.exit(f"never seen: {text!r}\n{self.shown}")
        self.seen = at + len(text)

    def code(self):
        """The code that the authenticator shows now."""
        groups = re.findall(r"(?m)^((?:  [A-Z2-7]{4})+)\s*$", self.screen.text())
        key = base64.b32decode("".join(groups[-1].split()))
        step = struct.pack(">Q", int(time.time()) // 30)
        digest = hmac.new(key, step, hashlib.sha1).digest()
        at = digest[-1] & 15
        return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"

    def type_ahead(self, lines):
        """Types lines while the program stands still, so that all of them wait when it reads the first."""
        os.killpg(self.child, signal.SIGSTOP)
        number = struct.unpack("I", fcntl.ioctl(self.line, TIOCGPTN, bytes(4)))[0]
        keyboard = os.open(f"/dev/pts/{number}", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(self.line, "".join(line + "\r" for line in lines).encode())
        waiting = sum(len(line.encode()) + 1 for line in lines[1:])
        end = time.monotonic() + WAIT_S_MAX
        while struct.unpack("i", fcntl.ioctl(keyboard, termios.FIONREAD, bytes(4)))[0] < waiting:
            if time.monotonic() > end:
                sys.exit("what is typed does not arrive")
        os.close(keyboard)
        os.killpg(self.child, signal.SIGCONT)

    def do(self, step):
        if "see" in step:
            self.see(step["see"])
        if "ahead" in step:
            self.type_ahead([step["type"], step["ahead"]])
        elif "type" in step:
            os.write(self.line, step["type"].encode() + b"\r")
        if "keys" in step:
            os.write(self.line, step["keys"].encode())
        if "code" in step:
            os.write(self.line, self.code().encode() + b"\r")
        if "hang_up" in step:
            os.close(self.line)
            self.line = None

    def end(self):
        end = time.monotonic() + WAIT_S_MAX
        while self.line is not None and self.read(max(0.0, end - time.monotonic())):
            pass
        # Whoever shows nothing more has ended, or hangs: then the alarm ends both.
        signal.signal(signal.SIGALRM, lambda *_: os.kill(self.child, signal.SIGKILL))
        signal.alarm(int(WAIT_S_MAX))
        code = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        echo = self.line is None or bool(termios.tcgetattr(self.line)[3] & termios.ECHO)
        return {"code": code, "shown": self.shown, "screen": self.screen.text(), "echo": echo}


def main():
    steps = [json.loads(line) for line in sys.stdin if line.strip()]
    terminal = Terminal(sys.argv[1:])
    for step in steps:
        terminal.do(step)
    json.dump(terminal.end(), sys.stdout)


if __name__ == "__main__":
    main()
