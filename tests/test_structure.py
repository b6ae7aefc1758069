"""The structure of the package: arrows only down its floors, no circle, nothing heavy behind an import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import supernet

ROOT = Path(supernet.__file__).parent

DESIGN = Path(__file__).parents[1] / "docs" / "design.md"
# Top to bottom, as the table there has them: the names of modules in the first column of each row.
ROWS = re.findall(r"^\| `.*", DESIGN.read_text().split("## Floors")[1], re.M)
FLOORS = [tuple(re.findall(r"`([\w.]+)`", row.split("|")[1])) for row in ROWS]
NEVER = [
    ("spaces", "strategies"),
    ("layers", "relaxations"),
    ("layers", "strategies"),
    ("searchers", "layers"),
    ("policies", "layers"),
    ("policies", "strategies"),
    ("policies", "spaces"),
    ("searchers", "strategies"),
    ("strategies", "estimators"),
    ("strategies", "spaces"),
]


def modules() -> dict[str, Path]:
    """Module name, without the package's, to its file."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__") if name != "__init__" else name] = path
    return found


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports at run time, at any depth."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "supernet":
            base = node.module.split(".")[1:]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in NAMES else ".".join(base))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return {name for name in found if name}


NAMES = set(modules())


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports."""
    return {name: imports(path) & NAMES - {name} for name, path in modules().items()}


def floor(name: str) -> int:
    fitting = [
        (len(prefix), i) for i, prefixes in enumerate(FLOORS) for prefix in prefixes if name == prefix or name.startswith(prefix + ".")
    ]
    assert fitting, f"{name} stands on no floor"
    return max(fitting)[1]


def test_every_module_on_the_list_of_floors_exists_and_stands_there_once() -> None:
    listed = [name for names in FLOORS for name in names]
    assert len(FLOORS) > 8 and len(set(listed)) == len(listed)
    assert not {name for name in listed if name not in NAMES}


def test_imports_go_down_the_floors() -> None:
    up = {name: {other for other in others if floor(other) < floor(name)} for name, others in graph().items()}
    assert [f"{name} imports {sorted(above)} from a floor above its own" for name, above in up.items() if above] == []


def test_there_is_no_import_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for other in graph()[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in graph():
        visit(name, ())


@pytest.mark.parametrize(("upper", "lower"), NEVER)
def test_nevers_hold(upper: str, lower: str) -> None:
    for name, others in graph().items():
        if name.split(".")[0] == upper:
            assert not any(o.split(".")[0] == lower for o in others), f"{name} imports {lower}"


def test_no_strategy_imports_another_methods_file() -> None:
    same_paper = {
        "strategies.clipped_darts": {"strategies.darts"},
        "strategies.second_order": {"strategies.darts", "strategies.clipped_darts"},
        "strategies.proxyless_reinforce": {"strategies.proxyless"},
    }
    shared = {
        "strategies",
        "strategies.staged",
        "strategies.gradient",
        "strategies.retrain",
        "strategies.weights",
        "strategies.regularisers",
        "strategies.lessons",
        "strategies.one_shot",  # what those that differ by their lessons share
        "strategies.rules",
        "strategies.base",
        "strategies.alphas",
        "strategies.learning",
        "strategies.turns",
        "strategies.darts",  # plain first order, which others are with one thing more
        "strategies.early_stopping",
        "strategies.curvature",
        "strategies.rms_prop",
        "strategies.sandwiched",
        "strategies.restarted",
        "strategies.shrinking",
        "strategies.policy_search",
        "strategies.worth",
    }
    for name, others in graph().items():
        if name.startswith("strategies.") and name not in shared:
            assert not {o for o in others if o.startswith("strategies.")} - shared - same_paper.get(name, set()), name


def test_the_core_imports_neither_data_libraries_nor_exporters() -> None:
    heavy = ("sklearn", "PIL", "onnx", "onnxruntime", "scipy", "matplotlib", "pandas")
    code = f"import sys, supernet; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_evaluates_text_or_unpickles_or_names_a_device() -> None:
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "pickle.load", "joblib.load"), f"{name}: {called}"
                assert called != "pickle.loads" or name == "workers.packed", name  # what a worker is sent by who began it
                assert not called.endswith(".cuda"), f"{name}: {called}"
                if called == "torch.load":
                    assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), name
