"""Audit log: tamper-evident entries, sealed in a Merkle tree, signed, and anchored outside the database.

``recording`` writes an entry in the transaction of what it tells. ``sealing`` puts new entries into a Merkle tree and
signs its root; ``anchoring`` writes that where it cannot be changed; ``verifying`` holds all of it together.
"""
