"""What a report shows of a front of several goals, of a ranking, and of networks for several bounds."""

import json
from pathlib import Path

import pytest
from run_folders import evolution_run, retrain_run
from test_cost_sections import part, pictures, words
from test_report_page import Page

from supernet.errors import InputError
from supernet.metrics import Score
from supernet.report.page import write_report, write_specialised

SVG = "{http://www.w3.org/2000/svg}"
RANKING = {
    **{"kendall": 0.6, "interval": [0.5, 0.7], "spearman": 0.8, "regret": {"1": 1.25, "5": 0.5, "10": 0.0}, "samples": 3},
    **{"by_examples": {"64": 0.25, "128": 0.5, "500": 0.6}, "against": "validation of table.npz", "metric": "accuracy"},
    "enough": {"examples": 128, "says": "128 of the 500 validation examples rank as well as all of them"},
    "points": [{"architecture": {"0": str(i)}, "shared": 0.5 + i / 10, "known": 80.0 + i} for i in range(3)],
}


def with_front(tmp_path: Path, **changes) -> Path:
    """A run whose front is the cheapest and the best of its trials."""
    folder = evolution_run(tmp_path)
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    scored = [line for line in lines if line["outcome"] == "scored"]
    ends = min(scored, key=lambda line: line["costs"]["params"]), max(scored, key=lambda line: line["scores"]["accuracy"])
    front = [{"choices": line["architecture"], **{k: line[k] for k in ("scores", "costs")}} for line in ends]
    found = {"goals": {"maximise": ["accuracy"], "minimise": ["params"]}, "hypervolume": 0.8125, "front": front}
    (folder / "front.json").write_text(json.dumps({**found, **changes}))
    return folder


def test_a_front_is_drawn_over_what_was_tried_and_listed(tmp_path):
    html = part(write_report(with_front(tmp_path)), "Front")
    found = Page(html)
    assert found.of("p")[0].startswith("Goals: high accuracy, low parameters. No other of")
    assert found.of("p")[1] == "Hypervolume: the front dominates 81.2 % of the box between the worst and the best of each goal."
    assert found.of("th") == ["Network", "Accuracy", "Parameters"] and len(found.of("td")) == 6
    (svg,) = pictures(html)
    assert {"Accuracy (%)", "parameters", "tried", "front"} <= set(words(svg))
    assert len([c for c in svg.iter(f"{SVG}circle") if c.find(f"{SVG}title") is not None]) > 20  # shown under the pointer


def test_one_goal_has_no_front_and_a_file_that_holds_something_else_is_one_line(tmp_path):
    folder = with_front(tmp_path, goals={"maximise": ["accuracy"], "minimise": []})
    assert "<h2>Front</h2>" not in write_report(folder).read_text()
    (folder / "front.json").write_text('{"front": 3}')
    with pytest.raises(InputError, match=r"front\.json: "):
        write_report(folder)


def test_a_ranking_is_drawn_with_its_interval_and_by_examples(tmp_path):
    folder = retrain_run(tmp_path)
    (folder / "ranking.json").write_text(json.dumps(RANKING))
    html = part(write_report(folder), "Ranking")
    found = Page(html)
    assert found.of("td")[:4] == ["Kendall's tau", "0.600, between 0.500 and 0.700", "Spearman's correlation", "0.800"]
    regrets = ["Regret of the one ranked first", "1.25", "Regret of the 5 ranked first", "0.5", "Regret of the 10 ranked first", "0"]
    assert found.of("td")[4:] == regrets
    scatter, by_examples = pictures(html)
    assert "Accuracy (%) by shared weights" in words(scatter) and "validation examples" in words(by_examples)
    assert "60.00 % by shared weights, 81 known" in html
    assert "128 of the 500 validation examples rank as well as all of them." in found.of("p")
    (folder / "ranking.json").write_text(json.dumps({**RANKING, "points": "none"}))
    with pytest.raises(InputError, match=r"ranking\.json: points must be a list"):
        write_report(folder)


def test_networks_for_bounds_are_drawn_and_listed(tmp_path):
    entries = [
        {
            **{"bound": {"latency": ms, "latency_table": "pixel.json"}, "choices": {"0": "k3"}, "genotype": f"net {ms}", "params": 10 * ms},
            **{"macs": 100 * ms, "latency_ms": ms - 0.5, "validation": value, "exported": "x.onnx", "holds": ms < 12},
        }
        for ms, value in ((8.0, 0.7), (12.0, 0.8), (20.0, None))
    ]
    entries[1]["decided"] = {"trials": {"decided": True, "says": "all"}, "random": {"decided": False, "says": "no better than random ones"}}
    found = Page(write_specialised(entries, "runs/ofa", Score("accuracy", unit="share"), tmp_path).read_text())
    assert found.of("h1") == ["Networks of the supernet of runs/ofa"]
    assert found.of("th") == ["Bound", "Holds", "Network", "Accuracy", "Predicted latency", "Multiply-adds", "Parameters"]
    assert found.of("td")[:7] == ["latency 8 ms by pixel.json", "yes", "net 8.0", "70.00 %", "7.5 ms", "800", "80"]
    assert found.of("td")[8] == "no"
    assert found.of("p")[1:] == ["latency 12 ms by pixel.json: no better than random ones."]


def test_a_latency_that_was_measured_stands_beside_the_prediction_and_its_bound(tmp_path):
    entries = [
        {
            **{"bound": {"latency": 8.0, "latency_table": "pixel.json"}, "choices": {"0": "k3"}, "genotype": "net", "validation": 0.7},
            **{"params": 10, "macs": 100, "latency_ms": 7.5, "measured": {"latency": {"ms": ms}}, "exported": "x.onnx", "holds": ms <= 8},
        }
        for ms in (8.4, 7.8)
    ]
    html = write_specialised(entries, "runs/ofa", Score("accuracy", unit="share"), tmp_path).read_text()
    found = Page(html)
    assert found.of("th")[3:6] == ["Accuracy", "Predicted latency", "Measured latency"]
    assert found.of("td")[:6] == ["latency 8 ms by pixel.json", "no", "net", "70.00 %", "7.5 ms", "8.4 ms"]
    missed = "latency 8 ms by pixel.json: the bound on latency is missed: 8.4 ms measured, 5.0 % over, where 7.5 ms was predicted."
    assert found.of("p")[1:] == [missed]
    assert {"pixel.json", "measured"} <= set(words(pictures(html)[0]))
