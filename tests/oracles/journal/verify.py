"""Verifies exports of Tolem journals by the definitions alone: RFC 6962 for the tree, C2SP for the texts, RFC 8032 for Ed25519.

    verify.py VKEY EXPORT [OLDER-EXPORT]
    verify.py --cosigned VKEY NOTE

The first form computes every hash again from the records, compares each file of the export with what it must be, byte for
byte, and checks the signature; an older export must be the beginning of the newer one. The second form checks a witness'
cosignature on a note. It shares no line with the programs it judges; Ed25519 is that of the package `cryptography`.
"""

import base64
import hashlib
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256


class Bad(Exception):
    pass


def leaf_hash(record):
    return hashlib.sha256(b"\0" + record).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(leaves):
    """RFC 6962, 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def read_vkey(vkey):
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if expected.hex() != key_id or len(key) != 33:
        raise Bad(f"{vkey}: not a verifier key")
    return name, expected, key[0], Ed25519PublicKey.from_public_bytes(key[1:])


def open_note(note, vkey, kind):
    """The text of a signed note: of a log (kind 1) or with a witness' cosignature (kind 4)."""
    name, key_id, key_kind, public = read_vkey(vkey)
    text, found, signatures = note.rpartition("\n\n")
    if not found or key_kind != kind or not note.endswith("\n"):
        raise Bad("not a signed note for this key")
    text += "\n"
    for line in signatures.removesuffix("\n").split("\n"):
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash != "—" or signer != name or blob[:4] != key_id:
            continue
        message, signature = text, blob[4:]
        if kind == 4:
            seconds, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
            message = f"cosignature/v1\ntime {seconds}\n{text}"
        try:
            public.verify(signature, message.encode())
            return text
        except InvalidSignature:
            raise Bad(f"the signature of {name} is wrong") from None
    raise Bad(f"no signature of {name}")


def tile_name(level, number, width):
    groups = [f"{number % 1000:03}"]
    number //= 1000
    while number:
        groups.insert(0, f"x{number % 1000:03}")
        number //= 1000
    return f"tile/{level}/" + "/".join(groups) + (f".p/{width}" if width < WIDTH else "")


def split_bundle(bundle, where):
    records = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        record = bundle[2 : 2 + length]
        if len(bundle) < 2 + length:
            raise Bad(f"{where}: ends within a record")
        records.append(record)
        bundle = bundle[2 + length :]
    return records


def files_of(records, checkpoint):
    """Every file that an export of these records consists of, with its content."""
    files = {"checkpoint": checkpoint}
    bundled = [len(record).to_bytes(2, "big") + record for record in records]
    parts, level = bundled, "entries"
    hashes = [leaf_hash(record) for record in records]
    while parts:
        for first in range(0, len(parts), WIDTH):
            tile = parts[first : first + WIDTH]
            files[tile_name(level, first // WIDTH, len(tile))] = b"".join(tile)
        if level == "entries":
            parts, level = hashes, 0
        else:
            full = range(0, len(hashes) // WIDTH * WIDTH, WIDTH)
            hashes = [tree_root(hashes[first : first + WIDTH]) for first in full]
            parts, level = hashes, level + 1
    return files


def verify(vkey, export):
    export = pathlib.Path(export)
    checkpoint = (export / "checkpoint").read_bytes()
    lines = open_note(checkpoint.decode(), vkey, kind=1).split("\n")
    origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    if origin != vkey.split("+")[0]:
        raise Bad(f"the checkpoint is of {origin}")
    records = []
    for first in range(0, size, WIDTH):
        name = tile_name("entries", first // WIDTH, size - first)
        records += split_bundle((export / name).read_bytes(), name)
    leaves = [leaf_hash(record) for record in records]
    if len(records) != size or tree_root(leaves) != root:
        raise Bad(f"{len(records)} records do not have the signed root of {size}")
    for name, content in files_of(records, checkpoint).items():
        if (export / name).read_bytes() != content:
            raise Bad(f"{name}: not what the records give")
    return leaves, root


def main(arguments):
    if arguments[0] == "--cosigned":
        text = open_note(pathlib.Path(arguments[2]).read_text(encoding="utf-8"), arguments[1], kind=4)
        print(f"good: cosigned {text.splitlines()[0]} at {text.splitlines()[1]} records")
        return
    leaves, root = verify(arguments[0], arguments[1])
    line = f"good: {len(leaves)} records, root {base64.b64encode(root).decode()}"
    if len(arguments) == 3:
        older, older_root = verify(arguments[0], arguments[2])
        if tree_root(leaves[: len(older)]) != older_root:
            raise Bad(f"the first {len(older)} records are not those of {arguments[2]}")
        line += f", continues {len(older)} records"
    print(line)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Bad, OSError, ValueError) as error:
        sys.exit(f"BAD: {error}")
