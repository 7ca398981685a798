"""Promotion by hand and by pull request, with Git as it is: written, merged, carried out, and what differs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.machine import needs

WISH = ("model", "promote", "returns", "--reason", "better on weekends")


def git(folder: Path, *arguments: str) -> str:
    """Run Git in a folder."""
    named = ["-c", "user.name=Anna", "-c", "user.email=anna@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def push(folder: Path, message: str) -> None:
    """Commit all that there is, and push it."""
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", message)
    git(folder, "push", "--quiet", "origin", "HEAD:main")
    git(folder, "fetch", "--quiet")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a GitOps repository as a server has it, and a clone of it; each test has a copy of both."""
    top = tmp_path_factory.mktemp("gitops")
    git(top, "init", "--quiet", "--bare", "server.git")
    git(top, "clone", "--quiet", "server.git", "clone")
    (top / "clone" / "prod" / "promotions").mkdir(parents=True)
    (top / "clone" / "prod" / "promotions" / "README.md").write_text("What shall be live.\n")
    push(top / "clone", "begin")
    return top


@pytest.fixture
def clone(world, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a clone of a GitOps repository, and an environment that carries out what its folder says."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Anna")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "anna@example.com")
    folder = shutil.copytree(begun, tmp_path / "gitops") / "clone"
    git(folder, "remote", "set-url", "origin", str(folder.with_name("server.git")))
    monkeypatch.setenv("LOOPLINE_PROMOTIONS", str(folder / "prod" / "promotions"))
    world.say(f"promotions: {{folder: {folder / 'prod' / 'promotions'}}}\n")
    return folder


def merge(clone: Path, branch: str) -> str:
    """Merge a branch as a pull request is merged; gives the commit."""
    git(clone, "merge", "--quiet", "--no-ff", "-m", "merged", branch)
    return git(clone, "rev-parse", branch)


def test_a_version_is_promoted_by_a_pull_request(world, clone):
    """Written as a branch, nothing happens; merged, it is rolled out once, and the ledger names person and commit."""
    world.roll_out("first")
    world.later(30)
    version, _ = world.open_cycle("second")
    said = world.json(*WISH, "--version", version, "--via", "git", "--push")
    assert said["here"] == f"the rollout of version {version} began"
    assert world.status()["rollout"] is None
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "ls-remote", "origin", said["branch"]).startswith(said["commit"])
    message = git(clone, "show", "--no-patch", "--format=%an%n%B", said["branch"])
    assert message.startswith(f"Anna\ncorner/returns: version {version}\n\nbetter on weekends\n")
    assert f"Loopline-Wish: {said['wish']}" in message
    assert world.json("gitops", "apply")["wishes"] == []
    commit = merge(clone, said["branch"])
    assert world.json("gitops", "diff")["models"][0]["state"] == "due"
    assert world.json("gitops", "apply")["wishes"][0]["done"]
    assert world.json("gitops", "apply")["wishes"] == []
    assert world.status()["rollout"]["version"] == version
    assert f"alice wished version {version} by commit {commit[:12]}" in world.run("history", "returns").stdout
    assert world.json("gitops", "diff", "--exit-code")["differ"] == 0


def test_written_twice_it_is_the_same_change(world, clone):
    """Also while another branch is checked out with changes of its own; merged, there is nothing to write."""
    world.roll_out("first")
    git(clone, "checkout", "--quiet", "-b", "other")
    (clone / "half-done").write_text("x")
    first, second = (world.json(*WISH, "--version", "1", "--via", "git") for _ in range(2))
    assert first == second
    assert git(clone, "status", "--porcelain") == "?? half-done"
    assert git(clone, "worktree", "list").count("\n") == 0
    git(clone, "push", "--quiet", "origin", f"{first['branch']}:main")
    git(clone, "fetch", "--quiet")
    assert "says so on origin/main already" in world.json(*WISH, "--version", "1", "--via", "git", code=1)["problem"]


def test_a_kustomization_that_does_not_name_the_file_is_told(world, clone):
    """Else the ConfigMap that it makes would not hold it; and a kustomization is no wish of a model."""
    world.roll_out("first")
    beside = clone / "prod" / "promotions" / "corner" / "kustomization.yaml"
    beside.parent.mkdir()
    for files, told in (("", True), ("many_returns.yaml, returns.yaml.old", True), ("./returns.yaml", False)):
        beside.write_text(f"configMapGenerator: [{{name: loopline-promotions, files: [{files}]}}]\n")
        push(clone, f"a ConfigMap of '{files}'")
        assert world.json("gitops", "diff")["models"] == []
        said = world.run(*WISH, "--version", "1", "--via", "git").stdout
        assert ("prod/promotions/corner/kustomization.yaml does not name the file" in said) == told
        git(clone, "branch", "-D", world.json(*WISH, "--version", "1", "--via", "git")["branch"])


def test_the_command_that_pushes_is_for_the_clone(world, clone):
    """Also where the folder of promotions is the clone's own top, or is not there yet."""
    world.roll_out("first")
    for into in (clone, clone / "new" / "promotions"):
        said = world.run(*WISH, "--version", "1", "--via", "git", "--into", str(into)).stdout
        command = said.partition("push it with '")[2].partition("'")[0]
        subprocess.run(command.split(), check=True, capture_output=True)
        branch = command.split()[-1]
        git(clone, "push", "--quiet", "origin", "--delete", branch)
        git(clone, "branch", "-D", branch)


def test_what_differs_is_shown(world, clone):
    """The loop promoted another version than Git says: in the diff, as its exit code, and as an alarm with the fix."""
    world.roll_out("first")
    merge(clone, world.json(*WISH, "--version", "1", "--via", "git")["branch"])
    assert world.json("gitops", "apply")["wishes"][0]["done"]
    world.later(30)
    world.roll_out("second")
    [said] = world.json("gitops", "diff", "--exit-code", code=1)["models"]
    assert (said["model"], said["version"], said["state"]) == ("corner/returns", "1", "differs")
    assert said["said"] == "version 2 is being rolled out, at 50 percent"
    world.json("gitops", "apply")
    assert "Git says version 1 of corner/returns" in world.run("alarms", "list").stdout


def test_a_wish_that_cannot_be_met_is_an_alarm(world, clone):
    """A version that nobody trained: the command ends with 1, the alarm names what was judged, and a revert ends it."""
    world.roll_out("first")
    said = world.json(*WISH, "--version", "99", "--via", "git")
    assert "could not be carried out now: version 99 of corner/returns is wished" in said["here"]
    merge(clone, said["branch"])
    (refused,) = world.json("gitops", "apply", code=1)["wishes"]
    assert "no gate of this environment ever judged it" in refused["said"]
    alarms = world.run("alarms", "list").stdout
    assert "what Git wishes of corner/returns is not carried out" in alarms
    git(clone, "revert", "--no-edit", "-m", "1", "HEAD")
    world.json("gitops", "apply")
    assert "what Git wishes" not in world.run("alarms", "list").stdout


def test_without_git_it_is_done_at_once(world):
    """The same rules: a version that passed is rolled out, one that failed its gates is refused."""
    world.roll_out("first")
    world.later(30)
    failed, cycle = world.open_cycle("second", passed=False)
    assert "failed" in world.json(*WISH, "--version", failed, code=1)["problem"]
    world.json("cycle", "close", cycle, "--reason", "no good")
    version, _ = world.open_cycle("third")
    assert world.json(*WISH, "--version", version)["done"] == f"the rollout of version {version} began"
    assert world.status()["rollout"]["version"] == version


def test_where_merged_changes_are_required_nobody_promotes_by_hand(world, tmp_path):
    """The command says what to do instead, and a trained version waits at 0 percent."""
    world.say(f"promotions: {{folder: {tmp_path}, required: true}}\n")
    world.roll_out("first")
    assert world.json("rollout", "list")["rollouts"][0]["state"] == "held"
    assert "--via git" in world.json(*WISH, "--version", "1", code=1)["fix"]


WRONG = {
    "promotions: here": "promotions name no folder",
    "promotions: {folder: x, requires: true}": "unknown key 'requires'",
    "promotions: {folder: x, required: soon}": "'soon' is neither yes nor no",
    "promotions: {folder: /nowhere/at/all}": "the folder of promotions is not there",
}


def test_an_environment_that_is_wrong_is_told(world):
    """By line, with what to write."""
    before = world.environment.read_text()
    for line, problem in WRONG.items():
        world.environment.write_text(f"{before}{line}\n")
        assert problem in world.json("gitops", "diff", code=1)["problem"]


def test_a_folder_outside_of_git_is_refused(world, tmp_path):
    """Nothing is written."""
    needs("git")
    world.roll_out("first")
    said = world.json(*WISH, "--version", "1", "--via", "git", "--into", str(tmp_path / "new" / "promotions"), code=1)
    assert "is not in a Git clone" in said["problem"]
    assert not (tmp_path / "new").exists()
    assert "--into" in world.json(*WISH, "--version", "1", "--via", "git", code=1)["fix"]


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://anna:secret@github.com/acme/gitops.git", "https://github.com/acme/gitops/compare/b?expand=1"),
        ("git@github.com:acme/gitops.git", "https://github.com/acme/gitops/compare/b?expand=1"),
        (
            "ssh://git@gitlab.example.com:2222/acme/sub/gitops",
            "https://gitlab.example.com/acme/sub/gitops/-/merge_requests/new?merge_request[source_branch]=b",
        ),
        ("/srv/git/gitops.git", ""),
        ("https://git.example.com/acme/gitops", ""),
    ],
)
def test_the_page_of_a_pull_request(tmp_path, address, page):
    """By what the remote's address says; no name and no password of it is shown."""
    from loopline.gitops import _page

    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", address)
    assert _page(tmp_path, "b") == page
