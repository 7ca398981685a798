"""Verify an export of Loopline's audit offline: python offline.py EXPORT.jsonl PUBLIC_KEY [EARLIER_CHECKPOINT]."""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def opened(note: str, key: str) -> tuple[int, bytes]:  # size and root, if the key signed them: c2sp.org/signed-note
    text, line = note.rstrip("\n").rsplit("\n\n", 1)
    raw = base64.b64decode(line.split(" ")[2])
    begins = f"{line.split(' ')[1]}+{raw[:4].hex()}+"  # of a key that was rotated the file has a line for each version
    public = next((one[len(begins) :] for one in key.split() if one.startswith(begins)), None)
    if public is None:
        sys.exit("wrong: the checkpoint was signed by another key")
    Ed25519PublicKey.from_public_bytes(base64.b64decode(public)[1:]).verify(raw[4:], f"{text}\n".encode())
    return int(text.split("\n")[1]), base64.b64decode(text.split("\n")[2])


def roots(start: bytes, proof: list[str], low: int, last: int) -> tuple[bytes, bytes]:
    old = new = start  # RFC 9162, 2.1.3.2 and 2.1.4.2: the roots of the earlier and of the newer tree
    for one in map(base64.b64decode, proof):
        if low & 1 or low == last:
            old, new = (hashlib.sha256(b"\1" + one + was).digest() for was in (old, new))
            while low and not low & 1:
                low, last = low >> 1, last >> 1
        else:
            new = hashlib.sha256(b"\1" + new + one).digest()
        low, last = low >> 1, last >> 1
    return (old, new) if last == 0 else (b"", b"")


if __name__ == "__main__":
    text, key, *earlier = (Path(file).read_text("utf-8") for file in sys.argv[1:])
    head, *lines = map(json.loads, text.splitlines())
    size, root = opened(head["checkpoint"], key)
    for line in lines:
        seq, leaf = line["seq"], hashlib.sha256(b"\0" + line["entry"].encode()).digest()
        if not 0 <= seq < size or roots(leaf, line["proof"], seq, size - 1)[1] != root:
            sys.exit(f"wrong: entry {seq} is not what was signed")
    for before, known in (opened(note, key) for note in earlier):
        proof = head.get("consistency", []) if head.get("since") == before else []
        shift = (before & -before).bit_length() - 1
        start, path = (known, proof) if before >> shift == 1 else (base64.b64decode("".join(proof[:1])), proof[1:])
        grown = roots(start, path, before - 1 >> shift, size - 1 >> shift) == (known, root)
        if not grown and (before, known) != (size, root):
            sys.exit(f"wrong: what was signed of {before} entries was rewritten")
    print(f"{len(lines)} entries are among the {size} that were signed")
