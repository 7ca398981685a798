"""An environment file goes with a task to a machine that may not have it."""

from __future__ import annotations

from loopline.platform_core.environment import HOME, carried, landed

TEXT = 'name: there\nledger: "${SECRET_LEDGER}"\n'


def test_where_the_file_is_it_is_used(tmp_path):
    """Errors then name the line of the file that somebody can mend."""
    file = tmp_path / "e.yaml"
    file.write_text(TEXT)
    assert landed(carried(file)) == file
    assert landed(str(file)) == file


def test_where_it_is_not_or_is_another_it_is_written(tmp_path, monkeypatch):
    """As it was when the task was ordered: its name, its text, its variables unexpanded."""
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    monkeypatch.setenv("SECRET_LEDGER", "postgresql://me:secret@there")
    file = tmp_path / "e.yaml"
    file.write_text(TEXT)
    sent = carried(file)
    assert "secret@" not in str(sent)
    file.write_text("name: mended since\n")
    for _ in range(2):
        assert landed(sent).read_text() == TEXT
        assert landed(sent).name == "e.yaml"
        file.unlink(missing_ok=True)
