"""What a report shows of costs: bounds, score against cost, prices, and where the milliseconds go."""

import json
import math
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folders import PARTS, bounded_run, darts_run, evolution_run, priced_run, retrain_run, tried, write_run
from test_report_page import Page, page

from supernet.errors import InputError
from supernet.report.cost_sections import amount, bars, strengths
from supernet.report.page import write_report

SVG = "{http://www.w3.org/2000/svg}"
OURS = {"Bounds", "Price", "Where the milliseconds go", "Score against cost", "Score against latency"}


def part(path: Path, title: str) -> str:
    """The HTML of one section."""
    return next(s for s in re.findall(r"<section.*?</section>", path.read_text(), re.DOTALL) if f"<h2>{title}</h2>" in s)


def pictures(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def words(svg: ElementTree.Element) -> list[str]:
    return [t.text or "" for t in svg.iter(f"{SVG}text")]


def changed(folder: Path, **entries) -> Path:
    """The folder, with other entries in its architecture.json; None takes one away."""
    path = folder / "architecture.json"
    path.write_text(json.dumps({k: v for k, v in {**json.loads(path.read_text()), **entries}.items() if v is not None}))
    return folder


def test_a_bound_that_is_met_is_told_with_what_was_predicted_and_measured(tmp_path):
    found = Page(part(write_report(priced_run(tmp_path)), "Bounds"))
    assert found.of("td")[:6] == ["Latency", "2 ms", "1.885 ms", "1.97 ms", "1.5 % under", "yes"]
    assert found.of("td")[6:] == ["Multiply-adds", "320 M", "304 M", "5.0 % under", "yes"]
    assert found.of("p") == [
        "The bound of 2 ms on latency is met: 1.97 ms measured, 1.5 % under, where 1.885 ms was predicted.",
        "Measured on: processor Cortex-A53, backend onnxruntime, threads 1, batch 1.",
        "Measured is the median of a plain loop; the fastest call took 1.9 ms.",
        "The bound of 320 M on multiply-adds is met: 304 M, 5.0 % under.",
    ]


def test_a_measurement_beyond_the_bound_counts_more_than_the_prediction(tmp_path):
    folder = changed(priced_run(tmp_path), measured={"latency": {"ms": 2.1, "holds": False}})
    found = Page(part(write_report(folder), "Bounds"))
    assert found.of("p")[0] == "The bound of 2 ms on latency is missed: 2.1 ms measured, 5.0 % over, where 1.885 ms was predicted."
    assert found.of("td")[4:6] == ["5.0 % over", "no"]


def test_a_latency_that_was_not_measured_is_told_as_predicted(tmp_path):
    found = Page(part(write_report(priced_run(tmp_path, measured=False)), "Bounds"))
    assert found.of("p")[0] == "The bound of 2 ms on latency is met: 1.885 ms predicted, 5.7 % under; it was not measured."


def test_a_cost_at_its_bound_is_told_so(tmp_path):
    folder = changed(priced_run(tmp_path, measured=False), limits={"storage": {"bound": 16400000}})
    assert Page(part(write_report(folder), "Bounds")).of("p") == ["The bound of 16.4 MB on storage is met: 16.4 MB, exactly at it."]


def test_trials_stand_over_latency_with_front_bound_and_what_was_found(tmp_path):
    folder = bounded_run(tmp_path)
    (svg,) = pictures(part(write_report(folder), "Score against latency"))
    assert {"trial", "Pareto front", "found by the search", "bound: 2 ms", "latency (ms)", "Accuracy (%)"} <= set(words(svg))
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    scored = [(line["costs"]["latency"], line["scores"]["accuracy"]) for line in lines if line["scores"]]
    notes = [t.text for t in svg.iter(f"{SVG}title")]
    assert len(notes) == len(scored) and f"trial {lines[0]['trial']}: " in notes[0]
    front = [(c, v) for c, v in scored if not any(d <= c and w >= v and (d, w) != (c, v) for d, w in scored)]
    colours = [c.get("fill") for c in svg.iter(f"{SVG}circle")]
    assert colours.count("#c8501e") == len(front)
    unscored = len(lines) - len(scored)
    assert f"Not shown: {unscored} of {len(lines)} trials, which have no score." in page(folder / "report.html").of("p")


def test_epochs_are_joined_in_their_order_and_the_bound_stands_upright(tmp_path):
    svg, other = pictures(part(write_report(priced_run(tmp_path)), "Score against cost"))
    assert {"from epoch 1 to 30", "bound: 2 ms"} <= set(words(svg)) and {"multiply-adds", "bound: 320 M"} <= set(words(other))
    points = [(c.get("cx"), c.get("cy")) for c in svg.iter(f"{SVG}circle")][1:]  # after that of the key
    lines = [p.get("d") for p in svg.iter(f"{SVG}path")]
    assert "M" + "L".join(f"{x} {y}" for x, y in points) in lines
    upright = re.fullmatch(r"M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)", lines[-1])
    assert upright and upright[1] == upright[3]
    assert min(float(x) for x, _ in points) < float(upright[1]) < max(float(x) for x, _ in points)
    assert float(upright[4]) <= min(float(y) for _, y in points) and float(upright[2]) >= max(float(y) for _, y in points)


def test_a_price_is_shown_with_its_bound_and_its_strength(tmp_path):
    latency, macs, strength, other = pictures(part(write_report(priced_run(tmp_path)), "Price"))
    assert words(latency)[0] == "Latency (ms)" and {"derived", "bound: 2 ms"} <= set(words(latency))
    assert words(macs)[0] == "Multiply-adds" and "bound: 320 M" in words(macs)
    assert words(strength)[0] == "Strength of the price on latency" and {"0.1", "1", "10", "100"} <= set(words(strength))
    assert "1.2" in words(other)  # within a decade: no logarithm


def test_a_price_without_a_bound_has_no_line_for_it(tmp_path):
    path = write_report(priced_run(tmp_path, bound=None, measured=False))
    assert "bound:" not in path.read_text() and "Price" in page(path).of("h2") and "Bounds" not in page(path).of("h2")
    assert len(pictures(part(path, "Score against latency"))) == 1


def test_a_run_that_is_not_finished_shows_its_prices_as_far_as_it_got(tmp_path):
    assert page(write_report(priced_run(tmp_path, epochs=3, finished=False))).of("h2").count("Price") == 1
    shutil.rmtree(tmp_path / "priced")
    first = page(write_report(priced_run(tmp_path, epochs=1, finished=False))).of("h2")
    assert {"Price", "Score against cost"} <= set(first) and not {"Bounds", "Where the milliseconds go"} & set(first)


def test_equal_factors_of_strength_are_equal_heights():
    svg = ElementTree.fromstring(strengths([(1, 0.1), (2, 1.0), (3, 10.0)], "t"))
    (line,) = [p.get("d") for p in svg.iter(f"{SVG}path") if "L" in p.get("d")]
    a, b, c = (float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", line))
    assert a > b > c and math.isclose(a - b, b - c, abs_tol=0.2)


@pytest.mark.parametrize("values", [[0.0, 5.0, 100.0], [math.nan, 1.0], [1e-300, 1e300], [3.0], [5e-324, 1.0], [1e308, 1.7e308]])
def test_any_strengths_can_be_drawn(values):
    svg = ElementTree.fromstring(strengths(list(enumerate(values, 1)), "t"))
    assert 2 <= len(words(svg)) < 30 and "nan" not in ElementTree.tostring(svg, "unicode")


def test_every_part_has_a_bar_in_order_and_small_ones_are_pooled(tmp_path):
    html = part(write_report(priced_run(tmp_path)), "Where the milliseconds go")
    (svg,) = pictures(html)
    total = sum(ms for _, ms in PARTS)
    large = [name for name, ms in PARTS if ms >= 0.005 * total]
    assert words(svg)[1::3] == [*large, "the rest (3)"]
    assert words(svg)[2::3][0] == "0.110 ms" and words(svg)[3::3][0] == f"{100 * 0.11 / total:.1f} %"
    widths = [float(r.get("width")) for r in svg.iter(f"{SVG}rect") if r.get("x")]
    assert widths[large.index("head")] == pytest.approx(widths[0] * 0.14 / 0.11, abs=0.2)
    assert math.isclose(sum(float(w.removesuffix(" ms")) for w in words(svg)[2::3]), total, abs_tol=0.02)
    assert "take 1.885 ms together" in html and "3 that take less than 0.5 % each" in html


def test_a_part_below_zero_has_no_bar_and_the_shares_still_add_up(tmp_path):
    folder = changed(priced_run(tmp_path), where={"latency": [["stem", 1.5], ["head", 0.6], ["elsewhere", -0.1]]})
    (svg,) = pictures(part(write_report(folder), "Where the milliseconds go"))
    assert words(svg)[1:] == ["stem", "1.50 ms", "75.0 %", "head", "0.60 ms", "30.0 %", "elsewhere", "-0.10 ms", "-5.0 %"]
    assert [r.get("width") for r in svg.iter(f"{SVG}rect") if r.get("x")] == ["300.0", "120.0", "0.0"]


def test_no_text_of_the_bars_leaves_the_picture_or_meets_another():
    parts = [("a" * 80, 123.4), ("stem", 0.02), ("layers.3 k5e6 se", 1234.5), ("head", 12.0)]
    svg = ElementTree.fromstring(bars(parts, "Parts"))
    width, rows = float(svg.get("width")) - 12, {}
    for entry in list(svg.iter(f"{SVG}text"))[1:]:
        long = 6.7 * len(entry.text)
        assert entry.get("text-anchor") == "end" and float(entry.get("x")) - long >= -12
        rows.setdefault(entry.get("y"), []).append((float(entry.get("x")) - long, float(entry.get("x"))))
    drawn = {
        r.get("x"): max(float(o.get("width")) for o in svg.iter(f"{SVG}rect") if o.get("x")) for r in svg.iter(f"{SVG}rect") if r.get("x")
    }
    ((left, longest),) = drawn.items()
    for (_, name), (value, end), (share, last) in rows.values():
        assert name < float(left) and float(left) + longest < value and end < share and last <= width


@pytest.mark.parametrize("run", [darts_run, evolution_run, retrain_run])
def test_runs_without_any_of_this_have_none_of_these_parts(tmp_path, run):
    found = set(page(write_report(run(tmp_path))).of("h2"))
    assert found & OURS == set()


def test_trials_without_a_bound_are_not_drawn_twice(tmp_path):
    path = write_report(write_run(tmp_path / "run", {"method": "random"}, tried(20, 0.6, 0.9), None))
    assert not any(title.startswith("Score against") for title in page(path).of("h2"))


@pytest.mark.parametrize(
    ("cost", "value", "written"),
    [
        ("latency", 1.97, "1.97 ms"),
        ("latency", 1234.5, "1,234 ms"),
        ("storage", 16.4e6, "16.4 MB"),
        ("activations", 512, "0.000512 MB"),
        ("macs", 304e6, "304 M"),
        ("macs", 4.2e9, "4.2 G"),
        ("params", 81234, "81,234"),
        ("energy", 3.5, "3.5 mJ"),
        ("own", 3.5, "3.5"),
        ("macs", math.inf, "inf"),
    ],
)
def test_costs_are_written_with_their_units(cost, value, written):
    assert amount(cost, value) == written


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"where": {"latency": [["stem"]]}}, "where, latency must list"),
        ({"where": {"latency": "all"}}, "where, latency must list"),
        ({"where": [1]}, "where must be"),
        ({"limits": 3}, "limits must be"),
    ],
)
def test_results_that_hold_something_else_are_refused_in_one_line(tmp_path, entries, says):
    with pytest.raises(InputError, match=says) as caught:
        write_report(changed(priced_run(tmp_path, epochs=2), **entries))
    assert "\n" not in str(caught.value)


def test_a_price_that_is_something_else_is_refused_in_one_line(tmp_path):
    folder = write_run(tmp_path / "run", {}, [{"epoch": 1, "price": 3}], None)
    with pytest.raises(InputError, match="price must be names and values"):
        write_report(folder)


costs = st.sampled_from(["latency", "macs", "params", "storage", "<own>"])
number = st.floats(-1e12, 1e12).map(lambda x: round(x, 6)) | st.sampled_from([0, 1.0, 2.0, math.inf, -math.inf, math.nan])
odd = st.none() | st.booleans() | st.just("text") | st.lists(number, max_size=2) | number
facts = st.dictionaries(st.sampled_from(["cost", "bound", "strength", "ms", "holds", "machine"]), number | odd, max_size=4)
by_cost = st.dictionaries(costs, st.one_of(*[facts] * 4, odd), max_size=3)
amounts = st.dictionaries(costs | st.sampled_from(["accuracy", "loss"]), number, max_size=4)
lines = st.lists(
    st.builds(lambda n, p, v: {"epoch": n, "price": p, "validation": v}, st.integers(0, 9), by_cost, amounts)
    | st.builds(lambda n, c, s: {"trial": n, "costs": c, "scores": s}, st.integers(0, 9), amounts, amounts),
    max_size=5,
)
listed = st.dictionaries(costs, st.lists(st.tuples(st.text(max_size=5), number), max_size=4), max_size=2)
results = st.fixed_dictionaries(
    {}, optional={"costs": amounts, "limits": by_cost, "measured": by_cost | odd, "where": listed, "scores": amounts}
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=lines, found=results, limits=amounts)
def test_any_costs_are_reported_or_refused(tmp_path, history, found, limits):
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    try:
        page(write_report(write_run(tmp_path / "run", {"limits": limits}, history, found)))
    except InputError as error:
        assert "\n" not in str(error)
