"""A flag that would have no effect beside others is refused in one line, also by a dry run."""

from __future__ import annotations

from pathlib import Path

import pytest

from supernet.cli import main

BENCH = ("--space", "nasbench201")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("describe", *BENCH, "--auxiliary"), "--auxiliary"),
        (("describe", "darts-v2", "--method", "darts"), "--method"),
        (("search", "random", *BENCH, "--table", "t.npz", "--data", "digits", "--dry-run"), "--data"),
        (("search", "random", *BENCH, "--table", "t.npz", "--batch-size", "8", "--dry-run"), "--batch-size"),
        (("compare", "random", *BENCH, "--table", "t.npz", "--limit-data", "80", "--dry-run"), "--limit-data"),
        (("search", "random", *BENCH, "--searcher", "grid", "--dry-run"), "--searcher"),
        (("search", "random", *BENCH, "--epochs", "3", "--dry-run"), "--epochs"),
        (("search", "random", *BENCH, "--table", "t.npz", "--epochs", "3", "--dry-run"), "--epochs"),
        (("search", "darts", *BENCH, "--trials", "9", "--dry-run"), "--trials"),
        (("search", "darts", *BENCH, "--set", "estimator.examples=9", "--dry-run"), "estimator.examples"),
        (("search", "random", *BENCH, "--set", "estimator.examples=9", "--dry-run"), "estimator.examples"),
        (("profile", *BENCH, "--emit", "parts", "--threads", "4", "--dry-run"), "--threads"),
        (("profile", *BENCH, "--emit", "parts", "--out", "l.json", "--dry-run"), "--out"),
        (("profile", *BENCH, "--emit", "parts", "--set", "predictor=mlp", "--dry-run"), "predictor"),
        (("profile", *BENCH, "--collect", "t.csv", "--out", "l.json", "--backend", "torch", "--dry-run"), "--backend"),
        (("profile", *BENCH, "--out", "l.json", "--set", "processor=phone", "--dry-run"), "processor"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_flag_without_effect_is_refused(
    words: tuple[str, ...], flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["supernet", *words])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"error: {flag} would have no effect: ") and said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
