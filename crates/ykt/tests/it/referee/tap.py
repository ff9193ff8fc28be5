#!/usr/bin/python3
"""Sits between a virtual reader of pcscd and the chip in it, and writes down what passes.

Usage: tap.py PORT YKT KIND IMAGE LOG. PORT is vpcd's; YKT is the program that serves the chip; LOG gets a JSON list of a
command and its answer a line.
"""

import json
import socket
import sys
import time

from slot import ATR, WAIT_S, Slot, receive, send


def to_reader(port):
    """Connects as a chip does that is put into the reader, as soon as there is one."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def main(port, ykt, kind, image, log):
    with Slot(ykt, kind, image) as chip, to_reader(int(port)) as reader, open(log, "w") as written:
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The card waits for its reader as long as the reader waits for a terminal.
        chip.line.settimeout(None)
        while message := receive(reader):
            send(chip.line, message)
            if len(message) > 1 or message == ATR:
                answer = receive(chip.line)
                send(reader, answer)
            if len(message) > 1:
                print(json.dumps([message.hex(), answer.hex()]), file=written, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
