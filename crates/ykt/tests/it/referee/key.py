"""Keys as docs/key-formats.md has them: algorithms, kinds, check values, and the way down to one card.

DES and AES come from python3-pycryptodome, SM2, SM3 and SM4 from OpenSSL.
"""

import hashlib
import subprocess
from dataclasses import dataclass

from Cryptodome.Cipher import AES

from ciphers import pad, smac, tdes, untdes, xor

TDES, SM4, AES256, SM2 = 0, 4, 5, 6
ALGORITHMS = {TDES: "3des", SM4: "sm4", AES256: "aes-256", SM2: "sm2"}
VALUE_LEN = {TDES: 16, SM4: 16, AES256: 32, SM2: 32}
STATES = ["generated", "active", "retired", "destroyed"]
KINDS = dict(
    enumerate(
        """card-master card-maintenance application-master application-maintenance
        purchase load unload overdraft tac pin-unblock pin-reload internal-authentication external-authentication
        card-transport psam-transport psam-initialisation
        psam-master psam-maintenance psam-application-master psam-application-maintenance
        grey-unlock authentication-code ticket-issue ticket-redeem ticket-tac bank-card
        key-card-transport key-card-master key-card-application-master key-card-application-maintenance
        key-card-pin-unblock
        pin sms-kic sms-kid m1-sector-a m1-sector-b bank-ac bank-mac bank-enc
        seed key-transport signing""".split(),
        start=1,
    )
)
NUMBERS = {name: number for number, name in KINDS.items()}
SHARED = {
    *("card-transport", "psam-transport", "psam-initialisation", "key-card-transport"),
    *("authentication-code", "seed", "key-transport", "signing"),
}


def openssl(arguments, data=b""):
    done = subprocess.run(["openssl", *arguments.split()], input=data, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"openssl {arguments.split()[0]}: {done.stderr.decode()}")
    return done.stdout


def sm3(data):
    return hashlib.new("sm3", data).digest()


def sm4(key, blocks, direction="-e"):
    return openssl(f"enc -sm4-ecb -nopad {direction} -K {key.hex()}", blocks)


def public_key(private):
    """04 || x || y of an SM2 private key: OpenSSL makes it from an ECPrivateKey that has none."""
    der = bytes.fromhex("30310201010420") + private + bytes.fromhex("A00A06082A811CCF5501822D")
    return openssl("pkey -inform DER -pubout -outform DER", der)[-65:]


def kcv(algorithm, value):
    if algorithm == SM2:
        return sm3(public_key(value))[:3]
    return encipher(algorithm, value, bytes(8 if algorithm == TDES else 16))[:3]


def encipher(algorithm, key, blocks):
    if algorithm == TDES:
        return tdes(key, blocks)
    return sm4(key, blocks) if algorithm == SM4 else AES.new(key, AES.MODE_ECB).encrypt(blocks)


def decipher(algorithm, key, blocks):
    if algorithm == TDES:
        return untdes(key, blocks)
    return sm4(key, blocks, "-d") if algorithm == SM4 else AES.new(key, AES.MODE_ECB).decrypt(blocks)


def padded(algorithm, data):
    """80 00.. to whole blocks."""
    return pad(data) if algorithm == TDES else data + b"\x80" + bytes(-(len(data) + 1) % 16)


def message_mac(algorithm, key, iv, message):
    """MAC of secure messaging: retail MAC, or CBC-MAC of SM4."""
    if algorithm == TDES:
        return smac(key, iv, message)
    chained = f"enc -sm4-cbc -nopad -K {key.hex()} -iv {iv.ljust(16, bytes(1)).hex()}"
    return openssl(chained, padded(SM4, message))[-16:-12]


def divide(algorithm, key, factor):
    """DIV: one level down."""
    return encipher(algorithm, key, factor + xor(factor, b"\xff" * 8))


@dataclass
class Key:
    """A key in its place."""

    kind: str
    index: int
    version: int
    level: int
    owner: bytes | None
    algorithm: int
    state: str
    value: bytes | None

    @property
    def place(self):
        return self.kind, self.index, self.version, self.level, self.owner

    @property
    def kcv(self):
        return kcv(self.algorithm, self.value) if self.value else None

    def shown(self):
        return {
            "kind": self.kind,
            "index": self.index,
            "version": self.version,
            "level": self.level,
            "owner": self.owner.hex().upper() if self.owner else None,
            "algorithm": ALGORITHMS[self.algorithm],
            "state": self.state,
            "kcv": self.kcv.hex().upper() if self.value else None,
        }


def root_from_seed(seed, kind, index, version):
    """The value of a root key that comes from a seed."""
    return divide(seed.algorithm, seed.value, bytes([*b"YKT", NUMBERS[kind], index, version, 0, 0]))


def way_down(kind, levels, issuer, holder):
    """The factors below each level, from the root's, to a card or module number of eight bytes."""
    if kind in SHARED:
        return []
    if kind.startswith(("psam-", "key-card-")):
        return [holder]
    return [issuer if factor == "issuer" else holder if factor == "card" else factor for _, factor in levels[1:]]


def holders_key(keys, levels, name, issuer, holder):
    """The value of one holder's key, from the deepest key that fits it; its algorithm comes with it."""
    factors = way_down(name[0], levels, issuer, holder)
    fit = [
        key
        for key in keys
        if key.value and key.place[:3] == name and (key.owner is None or key.owner == factors[key.level - 1])
    ]
    key = max(fit, key=lambda key: (key.level, key.owner is not None))
    value = key.value
    for factor in factors[key.level :]:
        value = divide(key.algorithm, value, factor)
    return key.algorithm, value
