"""Comparisons on data under one objective and the same bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import called
from supernet.plan.compare import plan_compare
from supernet.settings.commands import Compare
from supernet.settings.given import settled
from supernet.workflow.children import Children
from supernet.workflow.comparing import compare_run

WORDS = ("--space", "nasbench201", "--data", "digits", "--budget", "1epochs", "--limit-data", "64", "--batch-size", "16")


def test_costs_and_bounds_of_what_each_method_found_stand_in_the_document_and_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"space": "nasbench201", "objective": "accuracy,macs", "limits.macs": 2e6, "limits.storage": 1e6, "trials": 2, "threads": 1}
    given |= {"data.source": "digits", "data.limit": 64, "data.batch_size": 16, "supernet.channels": 4, "supernet.cells": 1}
    given |= {"network.channels": 4, "network.cells": 1}
    plan = plan_compare(settled(Compare, None, [], given), ["one-shot"], "1epochs", 3)
    asked = [method.search for method in plan.methods.values()]
    assert all(each["objective"] == "accuracy,macs" and each["limits"]["macs"] == 2e6 for each in asked)

    def run(children: Children, words: list[str], log: Path, who: str) -> str:
        kept, seed = "random" not in who, int(who[-1])
        costs = {"params": 10, "macs": 1e6 if kept else 3e6, "storage": 5e5 + seed, "limits": {"macs": {"bound": 2e6, "holds": kept}}}
        found = {"genotype": "net", "measured": {"seconds": 1.0, "peak_memory_mb": 1.0, "latency": {"ms": 2.0 + seed}}, **costs}
        return json.dumps(found if words[0] == "search" else {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.4}, **costs})

    monkeypatch.setattr(Children, "run", run)
    found: dict[str, Any] = compare_run(plan, tmp_path / "c")
    assert found["objective"] == "accuracy,macs" and found["limits"] == {"macs": 2e6, "storage": 1e6}
    ours, random = found["methods"]["one-shot"], found["methods"]["random"]
    assert ours["holds"] and not random["holds"] and (ours["macs"]["mean"], random["macs"]["mean"]) == (1e6, 3e6)
    assert ours["storage"]["mean"] == 500_001 and ours["measured"]["latency_ms"] == 3.0
    assert "random misses a bound with some seed" in capsys.readouterr().err
    html = (tmp_path / "c" / "report.html").read_text()
    assert "Limit on multiply-adds" in html and "3 M ± 0" in html and "accuracy,macs" in html


def test_methods_that_take_no_notice_of_an_objective_are_named_before_work() -> None:
    for methods, who in (("darts,one-shot", "darts, which decides by itself"), ("darts,gdas", "darts, gdas, which decide by themselves")):
        code, _, said = called("compare", methods, *WORDS, "--objective", "accuracy,macs", "--dry-run")
        assert code == 2 and said.count("\n") == 1 and f"compare without {who}" in said
    code, _, said = called("compare", "random", *WORDS, "--set", "methods.random.limits.macs=1e6", "--dry-run")
    assert code == 2 and "methods.random.limits: methods are compared under the same bounds" in said
    code, _, said = called("compare", "random", *WORDS, "--max-latency", "2ms", "--dry-run")
    assert code == 2 and "give --latency-table" in said


@pytest.mark.usefixtures("untold")
@pytest.mark.parametrize(
    ("name", "says"),
    [("evolution", True), ("nsga2", False), *(pytest.param(n, False, marks=pytest.mark.slow) for n in ("surrogate", "random"))],
)
def test_a_searcher_that_looks_at_one_of_several_goals_says_so(name: str, says: bool, tmp_path: Path) -> None:
    words = (*WORDS[:4], *WORDS[6:], "--channels", "4", "--cells", "1", "--trials", "30", "--out", str(tmp_path / "run"), "--dry-run")
    code, _, said = called("search", name, *words, "--objective", "accuracy,macs")
    assert code == 0 and (f"note: {name} is led by accuracy alone" in said) is says
    assert "is led by" not in called("search", name, *words, "--objective", "accuracy")[2]
