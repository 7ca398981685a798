"""A record that cannot be rewritten: entries beside the ledger's, sealed in a tree, signed, and anchored elsewhere.

``record`` writes an entry in the transaction of what it tells. ``sealing`` puts new entries into a Merkle tree and
signs its root; ``anchoring`` writes that where it cannot be changed; ``verifying`` holds all of it together.
"""
