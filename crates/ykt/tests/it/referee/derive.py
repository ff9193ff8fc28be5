#!/usr/bin/python3
"""Derives keys out of a sealed vault file, from the seed down to single cards (docs/key-formats.md).

Usage: derive.py FILE <QUESTIONS.json: `unlock` as for sealed.py; `roots`, each with the index of its `seed`; `holders`,
each with the `issuer`'s factor and the `holder`'s number. Prints the KCVs of both lists.
"""

import json
import sys
from pathlib import Path

from key import holders_key, kcv, root_from_seed
from sealed import open_file, unlock_of


def name(question):
    return question["kind"], question["index"], question["version"]


def main(path):
    asked = json.load(sys.stdin)
    _, levels, keys = open_file(Path(path).read_bytes(), unlock_of(asked["unlock"]))
    seeds = {key.index: key for key in keys if key.kind == "seed"}

    def root(question):
        seed = seeds[question["seed"]]
        return kcv(seed.algorithm, root_from_seed(seed, *name(question)))

    def holder(question):
        issuer, number = (bytes.fromhex(question[field]) for field in ("issuer", "holder"))
        return kcv(*holders_key(keys, levels, name(question), issuer, number))

    answers = {
        "roots": [root(question).hex().upper() for question in asked["roots"]],
        "holders": [holder(question).hex().upper() for question in asked["holders"]],
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
