"""What the documentation says: its commands and its programs are run, its names are complete, its links lead somewhere."""

from __future__ import annotations

import itertools
import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from supernet import cli
from supernet.commands import COMMANDS
from supernet.costs.latency.timing import Effort
from supernet.data import SETS, images
from supernet.estimators import ESTIMATORS
from supernet.searchers import SEARCHERS
from supernet.settings.commands import Profile, RankEstimators, Retrain, Search
from supernet.settings.flags import settings_of
from supernet.settings.given import accepted
from supernet.spaces import SPACES
from supernet.spaces import space as space_named
from supernet.spaces.nasbench201 import OPERATIONS
from supernet.strategies import STRATEGIES
from supernet.strategies.retrain import Retrain as Retraining
from supernet.strategies.weights import Weights
from supernet.tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAME = {page: str(page.relative_to(ROOT)) for page in PAGES}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[tuple[list[str], int]]:
    """Words and exit code of every line of a console block that begins with ``supernet``."""
    found = []
    for line in "".join(blocks(page, "console")).splitlines():
        assert line.startswith("supernet "), f"{NAME[page]}: a console block holds commands of supernet only; this is {line!r}"
        exits = re.search(r"# exits with (\d)", line)
        found.append((shlex.split(line, comments=True)[1:], int(exits[1]) if exits else 0))
    return found


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of ``supernet`` with these words."""
    monkeypatch.setattr(sys, "argv", ["supernet", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
        raise SystemExit(0)
    return int(left.value.code or 0)


@pytest.fixture
def registered() -> Iterator[None]:
    """What a page adds to the tables of names is taken away again."""
    tables: list[dict[str, Any]] = [STRATEGIES, SEARCHERS, ESTIMATORS, SPACES, TASKS, SETS, COMMANDS]
    before = [set(table) for table in tables]
    yield
    for table, names in zip(tables, before, strict=True):
        for name in table.keys() - names:
            del table[name]


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    """How exact a measured latency is does not matter."""
    monkeypatch.setattr(Effort, "enough", lambda effort, visits: len(visits) >= 3)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader gives no more than two batches, and there are 600 digits."""

    class Few(DataLoader[Any]):
        def __init__(self, dataset: Any, batch_size: int, **how: Any) -> None:
            super().__init__(Subset(dataset, range(min(2 * batch_size, len(dataset)))), batch_size, **how)

    every = images.digits
    monkeypatch.setattr(torch.utils.data, "DataLoader", Few)
    monkeypatch.setattr(images, "digits", lambda: tuple(array[:600] for array in every()))


STORED = {  # a run that is only described
    "format": 1,
    "space": "nasbench201",
    "settings": {"classes": 10, "shape": [1, 8, 8]},
    "choices": {"1<0": "none", "2<0": "none", "2<1": "none", "3<0": "nor_conv_3x3", "3<1": "none", "3<2": "none"},
}


LONG = ("docs/devices.md", "docs/many_sizes.md")


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if NAME[page] in LONG else ()) for page in PAGES if blocks(page, "python")],
    ids=NAME.get,
)
@pytest.mark.usefixtures("registered", "rough", "few")
def test_the_programs_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    shared = ModuleType("page")
    for block in blocks(page, "python"):
        module, file = shared, re.match(r"# src/(supernet/\S+)\.py\n", block)
        if file:  # the block is a file of the package
            module = ModuleType(file[1].replace("/", "."))
            monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(block, NAME[page], "exec"), module.__dict__)


@pytest.mark.usefixtures("rough", "untold", "few")
def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words, exits in commands(ROOT / "README.md"):
        assert run(words, monkeypatch) == exits, f"supernet {shlex.join(words)}\n{capsys.readouterr().err}"
    for name in ("config.yaml", "history.jsonl", "checkpoint.pt", "architecture.json", "weights.safetensors", "report.html"):
        assert (tmp_path / "runs/first" / name).exists() and f"`{name}`" in (ROOT / "README.md").read_text()
    assert (tmp_path / "cell.svg").exists() and (tmp_path / "exported/model.onnx").exists()


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=NAME.get)
def test_every_command_and_setting_of_a_page_exists(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every line is parsed, its settings resolved and checked; the work behind it is left out."""
    from supernet.plan import chosen
    from supernet.plan import compare as planned_compare
    from supernet.plan import estimators as planned_estimators
    from supernet.plan import profile as planned_profile
    from supernet.plan import retrain as planned_retrain
    from supernet.plan import search as planned_search
    from supernet.plan import specialise as planned_bounds
    from supernet.report import page as report
    from supernet.workflow import comparing, delivery, estimators, profiling, ranking, retraining, searching, specialising, trained

    def check_search(settings: Search) -> mock.Mock:
        chosen.choose(settings)
        return mock.Mock(config={}, document={}, remarks=())

    def check_retrain(settings: Retrain) -> mock.Mock:
        accepted("retrain", Retraining, settings.retrain, fixed=("weights",))
        accepted("weights", Weights, settings.weights)
        return mock.Mock(config={}, document={}, remarks=())

    def check_profile(settings: Profile, *rest: Any) -> None:
        space_named(str(settings.space)).network.accepted(settings.network)

    def check_estimators(settings: RankEstimators, *rest: Any) -> mock.Mock:
        planned_estimators.estimators_of(settings)
        space_named(str(settings.space)).supernet.accepted(settings.supernet)
        return mock.Mock(choices=None)

    monkeypatch.setattr(planned_profile, "plan_profile", check_profile)
    monkeypatch.setattr(planned_estimators, "plan_estimators", check_estimators)
    monkeypatch.setattr(estimators, "rank_estimators", lambda *given: {})
    monkeypatch.setattr(planned_search, "plan_search", check_search)
    monkeypatch.setattr(planned_retrain, "plan_retrain", check_retrain)
    monkeypatch.setattr(planned_compare, "plan_compare", lambda *given: None)
    for module, name in ((profiling, "profile_run"), (searching, "search_run"), (retraining, "retrain_run"), (comparing, "compare_run")):
        monkeypatch.setattr(module, name, lambda *given: {})
    monkeypatch.setattr(planned_bounds, "plan_specialise", lambda *given: mock.Mock(document={}))
    monkeypatch.setattr(trained, "trained_run", lambda *given: nullcontext(mock.Mock()))
    monkeypatch.setattr(ranking, "rank_run", lambda *given: {})
    monkeypatch.setattr(ranking, "stand_alone", lambda *given: mock.Mock(said=""))
    monkeypatch.setattr(specialising, "specialise_run", lambda *given: [])
    monkeypatch.setattr("supernet.run.check_folder", lambda *given: {})
    for name in ("load", "evaluate_run", "export_run", "draw_design"):
        monkeypatch.setattr(delivery, name, lambda *given: {})
    monkeypatch.setattr(report, "write_report", lambda folder: folder)
    monkeypatch.chdir(tmp_path)
    if any("nb201.npz" in words for words, _ in commands(page)):
        ops = numpy.array(list(itertools.product(range(5), repeat=6)))
        columns = {name: ops.sum(1) for name in ("val12", "val200_v11", "test200_v11")}
        numpy.savez("nb201.npz", ops=ops, op_names=numpy.array(OPERATIONS), datasets=numpy.array(["cifar10", "cifar100"]), **columns)
        numpy.savez("nb201_latency.npz", latency_ms=ops.sum(1)[:, None] + [[1, 2]], devices=numpy.array(["pixel2", "gold_6226"]))
    Path("latency.json").write_text('{"kind": "latency"}')
    Path("mobile_trim.yaml").write_text("expanded_conv-input: {mean: 1}")
    for words, exits in commands(page):
        for word in words:
            if word.startswith("runs/"):
                folder = Path(word).parent if word.endswith("config.yaml") else Path(word)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "config.yaml").write_text("command: search\nmethod: darts\nspace: darts\n")
                (folder / "architecture.json").write_text(json.dumps(STORED))
        assert run(words, monkeypatch) == exits, f"supernet {shlex.join(words)}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"], monkeypatch) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=NAME.get)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{NAME[page]} links to {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.search(r"```\{toctree\}\n(.*?)```", (ROOT / "docs/index.md").read_text(), re.DOTALL)
    assert listed
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= set(listed[1].split())


@pytest.mark.parametrize(
    ("page", "names"),
    [("methods", [*STRATEGIES, *SEARCHERS, *ESTIMATORS]), ("spaces", [*SPACES]), ("data", [*SETS])],
    ids=["methods", "spaces", "data"],
)
def test_every_name_is_documented(page: str, names: list[str]) -> None:
    text = (ROOT / f"docs/{page}.md").read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_tables_of_settings_are_what_the_commands_take() -> None:
    page = ROOT / "docs/settings.md"
    written = runpy.run_path(str(ROOT / "docs/write_settings.py"))["written"]
    assert page.read_text() == written(page.read_text()), "write it anew: python docs/write_settings.py"


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.settings])
def test_every_setting_and_every_flag_says_what_it_is(name: str) -> None:
    command = COMMANDS[name]
    assert command.settings and f"<!-- settings: {name} -->" in (ROOT / "docs/settings.md").read_text()
    for setting in [*settings_of(command.settings), *settings_of(command.call)]:
        assert setting.about or setting.name == "command", setting.name


def test_the_readme_starts_with_the_two_commands() -> None:
    targets = re.findall(r"^make (\w+)", "".join(blocks(ROOT / "README.md", "bash")), re.MULTILINE)
    assert targets == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)
