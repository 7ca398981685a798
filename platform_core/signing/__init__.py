"""Package signing: model packages are signed when registered, and verified before any byte of them is loaded.

A **statement** says of one model's one version which files its package has, by their sha256, and which trainer stands
for that; it is a signed note (Ed25519), and a tag of the version in the registry. **Trust** is whose statements count
here. Whoever loads is given a **proof** to ask, and reads through it: every byte that is given out is one that was
hashed, so nobody can change a file between the look and the use.
"""
