"""The report on searchers on a table: curves with bands, tables at several numbers of estimates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from supernet.report.chart import Series, chart, powers
from supernet.report.comparison import comparison_sections
from supernet.report.page import write_comparison
from supernet.report.study import study
from supernet.summary import summary


def lines(fronts: bool = True) -> list[dict[str, Any]]:
    """Two methods, three seeds: the best rises by the tenth estimate and by the fortieth."""
    found = []
    for method, ahead in (("random", 0.0), ("local", 1.0)):
        for seed in range(3):
            curve = [[1, 80.0 + seed, 79.0], [10, 90.0 + seed + ahead, 89.0], [40, 93.0 + ahead, 92.0 + ahead]]
            at = {str(n): {"validation": v, "test": t, "validation_regret": 95 - v, "test_regret": 94 - t} for n, v, t in curve[1:]}
            line: dict[str, Any] = {"method": method, "seed": seed, "evaluations": 40, "at": at, "curve": curve}
            line |= {"validation": curve[-1][1], "test": curve[-1][2]}
            if fronts:
                line["front"] = [[1, 0.2], [10, 0.5 + 0.01 * seed], [40, 0.75]]
                for n, share in line["front"][1:]:
                    at[str(n)]["hypervolume"] = share
            found.append({**line, "measured": {"seconds": 2.0, "searcher_seconds": 0.125}})
    return found


def result(fronts: bool = True) -> dict[str, Any]:
    made = summary({name: [line for line in lines(fronts) if line["method"] == name] for name in ("random", "local")})
    facts: dict[str, Any] = {"at": [10, 40], "best": {"validation": 95.0, "test": 94.0}, "planned_by_budget": ["nsga2"]}
    facts |= {"front": {"reference": {"validation": 80.0, "latency": 9.5}, "size": 7}} if fronts else {}
    return {**made, **facts, "left_out": {"hyperband": "no cheaper answer"}, "space": "nasbench201", "seeds": 3, "budget": "40evals"}


def test_a_study_is_told_at_each_number_with_intervals_and_curves(tmp_path: Path) -> None:
    section, left = study(result(), lines())
    assert [table.header[0] for table in section.tables] == [
        *("Validation", "Test", "Test regret", "Hypervolume (% of the true front's)"),
        *("Seeds with a better test score than random", "Searcher"),
    ]
    validation, regret = section.tables[0], section.tables[2]
    assert validation.rows[0] == ["random", "91.00 [88.52, 93.48]", "93.00 [93.00, 93.00]"]
    assert [row[2] for row in regret.rows] == ["2.00 [2.00, 2.00]", "1.00 [1.00, 1.00]"]
    assert section.tables[4].rows == [["local", "0 %", "100 %"]] and section.tables[5].rows[0] == ["random", "0.125"]
    assert "The true front has 7 networks. Hypervolumes are measured from the point validation 80, latency 9.5." in section.text
    assert len(section.pictures[0].svgs) == 3 and all("polygon" in svg for svg in section.pictures[0].svgs)
    assert left.tables[0].rows == [["hyperband", "no cheaper answer"]]
    page = write_comparison(result(), tmp_path).read_text()
    assert "After how many estimates" in page


def test_a_comparison_that_is_no_study_says_nothing_of_one() -> None:
    plain = {key: value for key, value in result(fronts=False).items() if key not in ("at", "left_out")}
    assert "After how many estimates" not in [section.title for section in comparison_sections(plain, lines(fronts=False))[1]]


def test_axes_by_logarithms_are_marked_at_round_numbers_and_equal_factors_are_equally_far() -> None:
    assert [round(10**mark, 6) for mark in powers(1.1, 1.9)] == [10, 20, 50, 100] and powers(-2, 2) == [-2, -1, 0, 1, 2]
    series = Series("a", [(10, 0.01), (100, 0.1), (1000, 1), (0, 1)], band=[(0.01, 0.02), (0.1, 0.2), (0.5, 2), (1, 1)])
    drawn = chart([series], "regret", "estimates", log="xy")
    assert drawn.count("<polygon") == 1 and all(f">{mark}</text>" in drawn for mark in (0.01, 0.1, 1, 10, 20, 50, 100, 200, 500, 1000))
    places = [[float(n) for n in part.split()] for part in drawn.split('d="M')[-1].split('"')[0].split("L")]
    steps = [[places[i + 1][side] - places[i][side] for i in (0, 1)] for side in (0, 1)]
    assert len(places) == 3 and all(abs(one - other) < 0.2 for one, other in steps)


def test_names_that_would_meet_are_tilted_and_others_stand_upright() -> None:
    names = [f"successive-halving-{i}" for i in range(10)]
    series = [Series("mean", [(float(i), float(i)) for i in range(10)], "points")]
    assert chart(series, "Test", "method", names).count("rotate(-35)") == 10
    assert "rotate" not in chart(series, "Test", "method", [str(i) for i in range(10)])
