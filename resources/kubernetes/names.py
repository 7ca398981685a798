"""Names and labels of the Kubernetes objects that vendors create."""

from __future__ import annotations

import hashlib
import re

KEY = "loopline.dev/key"
"""The annotation with a Job's whole key."""
TASK = "loopline.dev/task"
"""The annotation of a Job's pods with what they run."""
ANSWER = "loopline.dev/answer"
"""The annotation of a Job with what came of it, once a caller has read it."""
GANG = "loopline.dev/gang"
"""The annotation of a gang's pods with the addresses of all, once they are there."""
GIVEN_BACK = "loopline.dev/given-back"
"""The annotation of a gang's Job that is suspended because some of it had no place."""
MANAGED = {"app.kubernetes.io/managed-by": "loopline", "app.kubernetes.io/component": "compute"}
SERVING = {"app.kubernetes.io/managed-by": "loopline", "app.kubernetes.io/component": "serving"}
_MOST_NAME_CHARS = 40


def team_word(team: str) -> str:
    """Return a team's name as names of Kubernetes have it: they know no underscore, and the chart writes a dash."""
    return team.replace("_", "-")


def job_name(key: str) -> str:
    """Turn any key into a Job's name; two keys share one only if their SHA-256 begins with the same 64 bits."""
    words = re.sub(r"[^a-z0-9]+", "-", key.lower())[:_MOST_NAME_CHARS].strip("-") or "task"
    return f"{words}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
