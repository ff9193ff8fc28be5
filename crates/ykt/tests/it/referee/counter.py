#!/usr/bin/python3
"""A counter that gives issued cards their keys, written from docs/key-download.md alone: it has a reader, a client
certificate and the address of the centre.

Usage: counter.py HOST PORT CAMPAIGN VISIT READER...

READER is a program that is given commands in hex, line by line, and answers each (`ykt card apdu CARD`). The papers lie in the
current folder. Each call is made twice, over a connection of its own, as after an answer that was lost; each step of the
visit is printed as JSON, the end of it last.
"""

import http.client
import json
import ssl
import subprocess
import sys


class Centre:
    def __init__(self, host, port):
        self.address = host, int(port)
        self.papers = ssl.create_default_context(cafile="ca.pem")
        self.papers.load_cert_chain("counter.pem", "counter.key")

    def once(self, path, body):
        line = http.client.HTTPSConnection(*self.address, context=self.papers, timeout=120)
        kind = {"content-type": "application/json"}
        line.request("POST", "/download/v1/" + path, json.dumps(body), kind)
        answer = line.getresponse()
        status, text = answer.status, answer.read().decode()
        line.close()
        if status != 200:
            sys.exit(f"{status}: {text}")
        return json.loads(text)

    def ask(self, path, body):
        first, again = self.once(path, body), self.once(path, body)
        if first != again:
            sys.exit(f"the same call was answered {first}, then {again}")
        print(json.dumps(first))
        return first


class Reader:
    def __init__(self, program):
        pipe = subprocess.PIPE
        self.program = subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def reset(self):
        self.program.stdin.write("reset\n")

    def answer(self, command):
        """Data and status word; nothing when the card is gone."""
        self.program.stdin.write(command + "\n")
        # The program says behind it, in brackets, what the status word means.
        return "".join(self.program.stdout.readline().split("(")[0].split())


def carried(commands, reader):
    answers = []
    for command in commands:
        answer = reader.answer(command)
        if not answer:
            break
        answers.append(answer)
        if not answer.endswith("9000"):
            break
    return answers


def main(host, port, campaign, visit, *program):
    centre, reader = Centre(host, port), Reader(program)
    reader.reset()
    step = centre.ask("visits", {"visit": visit, "campaign": campaign})
    while "commands" in step:
        answers = carried(step["commands"], reader)
        step = centre.ask("visits/" + visit, {"step": step["step"], "answers": answers})


main(*sys.argv[1:])
