#!/usr/bin/python3
"""Verifies an exported audit log (docs/key-formats.md) and forges others out of it.

Usage: audit_log.py verify FILE [FINGERPRINT]
       audit_log.py forge FILE FOLDER

`verify` prints what it found, as JSON: `whole`, or what is wrong first. `forge` writes files each tampered with in
another way, some with a key of the forger's own, and prints for each what must be found.
"""

import json
import sys
from pathlib import Path
from struct import pack

from exchange import signed, verify
from key import openssl, sm3

FORMAT = "yikatong audit log 1"
OUTCOMES = {"done": b"\x00", "refused": b"\x01"}


class Wrong(Exception):
    """The log is not as it was written."""


def number_of(moment):
    return int("".join(digit for digit in moment if digit.isdigit()))


def link_of(record, before):
    parts = [pack(">Q", record["seq"]), pack(">Q", number_of(record["at"]))]
    parts += [record[field].encode() for field in ("who", "from", "what", "object")]
    parts += [OUTCOMES[record["outcome"]], record["detail"].encode()]
    return sm3(before + b"".join(pack(">Q", len(part)) + part for part in parts))


def links_of(records):
    """The link each record must have, were the chain begun with it."""
    link, links = bytes(32), []
    for record in records:
        link = link_of(record, link)
        links.append(link)
    return links


def message_of(point):
    rest = "".join(f"{field} {point[field]}\n" for field in ("no", "records", "at", "link"))
    return "yikatong audit checkpoint\n" + rest


def fingerprint(point):
    return sm3(bytes.fromhex(point["public_key"])[-65:]).hex().upper()


def check_points(points, trusted):
    covered = 0
    for number, point in enumerate(points, start=1):
        if point["no"] != number:
            raise Wrong(f"checkpoint {number} is missing")
        try:
            verify(message_of(point).encode(), *(bytes.fromhex(point[field]) for field in ("public_key", "signature")))
            forged = point["records"] <= covered
        except SystemExit:
            forged = True
        if forged:
            raise Wrong(f"checkpoint {number} was altered")
        if point["message"] != message_of(point):
            raise Wrong(f"checkpoint {number} was altered")
        if trusted and fingerprint(point) != trusted:
            raise Wrong(f"checkpoint {number} is signed by {fingerprint(point)}")
        covered = point["records"]


def check_records(records, points):
    link, covered, due = bytes(32), 0, list(points)
    for number, record in enumerate(records, start=1):
        if record["seq"] != number:
            raise Wrong(f"record {number} is missing")
        link = link_of(record, link)
        if record["link"] != link.hex().upper():
            raise Wrong(f"record {number} is the first that was altered")
        if due and due[0]["records"] == number:
            if due.pop(0)["link"] != record["link"]:
                raise Wrong(f"records {covered + 1} to {number} are not those")
            covered = number
    if due:
        raise Wrong(f"record {len(records) + 1} is missing")


def parsed(text):
    lines = [json.loads(line) for line in text.splitlines()]
    manifest, lines = lines[0], lines[1:]
    of_kind = {kind: [line for line in lines if line["line"] == kind] for kind in ("record", "checkpoint")}
    if manifest["line"] != "manifest" or manifest["format"] != FORMAT:
        raise Wrong("no manifest")
    return manifest, of_kind["record"], of_kind["checkpoint"]


def found(text, trusted=None):
    manifest, records, points = parsed(text)
    try:
        check_points(points, trusted)
        check_records(records, points)
        if manifest["records"] > len(records):
            raise Wrong(f"record {len(records) + 1} is missing")
        if manifest["checkpoints"] > len(points):
            raise Wrong(f"checkpoint {len(points) + 1} is missing")
    except Wrong as wrong:
        return str(wrong)
    return "whole"


# --- Forgeries ---


def written(manifest, records, points):
    lines = [manifest | {"records": len(records), "checkpoints": len(points)}, *records, *points]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def relinked(records):
    """The chain written anew over these records, as somebody would who has no key to sign with."""
    records = [record | {"seq": number} for number, record in enumerate(records, start=1)]
    return [record | {"link": link.hex().upper()} for record, link in zip(records, links_of(records))]


def signed_anew(records, points, key):
    """Checkpoints over these records, by another key."""
    anew = []
    for point in points:
        point = point | {"link": records[point["records"] - 1]["link"]}
        lines = dict(line.split(": ") for line in signed(message_of(point), key).splitlines()[-3:])
        anew.append(point | {"message": message_of(point), "public_key": lines["signer"], "signature": lines["signature"]})
    return anew


def changed(lines, at, /, **fields):
    return [line | fields if number == at else line for number, line in enumerate(lines)]


def forge(path, folder):
    text, folder = Path(path).read_text(), Path(folder)
    manifest, records, points = parsed(text)
    assert len(points) >= 2 and points[0]["records"] >= 4
    key, first, second = folder / "forger.pem", points[0]["records"], points[1]["records"]
    openssl(f"genpkey -algorithm SM2 -out {key}")
    last, later = len(records), f"{records[3]['at'][:-1]}{(int(records[3]['at'][-1]) + 1) % 10}"
    other = {"who": "nobody", "from": "elsewhere", "what": "key/nothing", "object": "none", "detail": "-", "at": later}
    other["outcome"] = "refused" if records[3]["outcome"] == "done" else "done"
    rewritten = relinked(changed(records, 3, who="nobody"))
    forgeries = {
        f"field-{field}": (changed(records, 3, **{field: value}), points, "record 4 is the first that was altered")
        for field, value in other.items()
    }
    digits = points[1]["signature"]
    forgeries |= {
        "link": (changed(records, 3, link="00" * 32), points, "record 4 is the first that was altered"),
        "dropped": (records[:3] + records[4:], points, "record 4 is missing"),
        "twice": (records[:4] + records[3:], points, "record 5 is missing"),
        "swapped": ([*records[:3], records[4], records[3], *records[5:]], points, "record 4 is missing"),
        "shifted": (changed(records, 3, who=records[3]["who"] + records[3]["from"], **{"from": ""}), points, "record 4"),
        "end-cut": (records[: second - 1], points, f"record {second} is missing"),
        "rewritten": (rewritten, points, f"records 1 to {first} are not those"),
        "rewritten-later": (
            relinked(changed(records, second - 1, who="nobody")), points, f"records {first + 1} to {second} are not those"
        ),
        "point-dropped": (records, points[1:], "checkpoint 1 is missing"),
        "points-swapped": (records, [points[1], points[0], *points[2:]], "checkpoint 1 is missing"),
        "point-count": (records, changed(points, 1, records=second - 1), "checkpoint 2 was altered"),
        "point-link": (records, changed(points, 1, link="00" * 32), "checkpoint 2 was altered"),
        "point-message": (
            records, changed(points, 1, message=points[0]["message"]), "checkpoint 2 was altered"
        ),
        "point-time": (records, changed(points, 0, at=later), "checkpoint 1 was altered"),
        "point-signature": (
            records, changed(points, 1, signature=digits[:-1] + f"{int(digits[-1], 16) ^ 1:X}"), "checkpoint 2 was altered"
        ),
        "signed-anew": (rewritten, signed_anew(rewritten, points, key), "checkpoint 1 is signed by"),
    }
    for name, (of_name, with_points, _) in forgeries.items():
        (folder / f"{name}.jsonl").write_text(written(manifest, of_name, with_points))
    # The last record and its checkpoint gone together: only the manifest tells.
    lines = text.splitlines(keepends=True)
    (folder / "last-gone.jsonl").write_text("".join([*lines[:last], *lines[last + 1 : -1]]))
    words = {name: words for name, (_, _, words) in forgeries.items()} | {"last-gone": f"record {last} is missing"}
    print(json.dumps(words))


def main(act, path, *rest):
    if act == "forge":
        return forge(path, *rest)
    text = Path(path).read_text()
    said = {"found": found(text, *rest), "fingerprint": [fingerprint(point) for point in parsed(text)[2]]}
    said["records"] = len(parsed(text)[1])
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
