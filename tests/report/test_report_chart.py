import math
import re
from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest

from supernet.report.chart import Series, chart, readable, running_best, shares, ticks
from supernet.report.svg import colours_of, kind_of

SVG = "{http://www.w3.org/2000/svg}"


def circles(svg: str) -> list[tuple[float, float]]:
    return [(float(c.get("cx")), float(c.get("cy"))) for c in ElementTree.fromstring(svg).iter(f"{SVG}circle")]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.0123, 0.0456), (91.2, 93.7), (-3, 5), (1e6, 5.3e6), (7, 7), (0, 0), (-2, -2)])
def test_ticks_are_few_round_and_around_the_data(low, high):
    found = ticks(low, high)
    assert found[0] <= low and high <= found[-1] and 3 <= len(found) <= 9
    steps = {round((b - a) / (found[1] - found[0]), 6) for a, b in pairwise(found)}
    assert steps == {1.0}
    assert len(set(readable(found))) == len(found)


def test_one_point_far_from_zero_is_drawn():
    assert len(circles(chart([Series("x", [(9007199254740996.0, 1.0)], "points")], "t", "epoch"))) == 1


def test_ticks_of_epochs_are_whole():
    assert all(t == int(t) for high in range(1, 40) for t in ticks(1, high, whole=True))


def test_large_numbers_are_written_short():
    assert readable([0, 2.5e6, 5e6]) == ["0.0", "2.5 M", "5.0 M"]
    assert readable([0, 20000]) == ["0", "20 k"]
    assert readable([0, 0.25]) == ["0.00", "0.25"]


def test_larger_values_stand_higher_and_later_ones_further_right():
    (a, b), width = circles(chart([Series("x", [(1, 0.2), (5, 0.9)], "points")], "t", "epoch")), 564
    assert a[0] < b[0] and a[1] > b[1]
    assert a[0] > 0 and b[0] < width


def test_points_that_are_not_finite_are_left_out():
    points = [(1, math.nan), (2, 0.5), (3, math.inf), (4, 0.7)]
    svg = chart([Series("x", points, "points", [f"note {x}" for x, _ in points])], "t", "epoch")
    assert len(circles(svg)) == 2
    assert re.findall(r"<title>(.*?)</title>", svg) == ["note 2", "note 4"]
    assert "no finite values" in chart([Series("x", [(1, math.nan)])], "t", "epoch")


def test_a_long_series_is_thinned_out_and_keeps_its_end():
    rng = Random(0)
    svg = chart([Series("x", [(i, rng.random()) for i in range(20000)] + [(20000, 5.0)], "points")], "t", "trial")
    assert len(circles(svg)) <= 2100
    assert circles(svg)[-1][1] == min(y for _, y in circles(svg))


def test_running_best_rises_or_falls_as_asked():
    points = [(1, 3.0), (2, 5.0), (3, 4.0), (4, 2.0)]
    assert running_best(points) == [(1, 3.0), (2, 5.0), (4, 5.0)]
    assert running_best(points, larger=False) == [(1, 3.0), (4, 2.0), (4, 2.0)]
    assert running_best([]) == []


def test_shares_fill_the_height_and_keep_their_proportion():
    svg = shares({"a": [0.25, 0.5], "b": [0.75, 0.5]}, ["skip", "none"], [1, 2], "choice")
    areas = [[tuple(map(float, p.split(","))) for p in e.get("points").split()] for e in ElementTree.fromstring(svg).iter(f"{SVG}polygon")]
    top, border, bottom = areas[0][0][1], areas[0][-1][1], areas[1][-1][1]
    assert math.isclose((border - top) / (bottom - top), 0.25)
    assert areas[0][2:] == areas[1][1::-1]  # the second begins where the first ends


def test_one_epoch_and_broken_shares_can_be_drawn():
    assert shares({"a": [0.4], "b": [math.nan]}, colours_of("ab"), [7], "choice").count("<polygon") == 2


def test_options_have_different_colours_by_kind():
    operations = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
    assert len(set(colours_of(operations))) == 8
    assert [kind_of(o) for o in ("none", "avg_pool_3x3", "identity", "dil_conv_5x5", "nor_conv_1x1", "mb3_k3", "tanh")] == [
        "none",
        "pooling",
        "skip",
        "dilated",
        "convolution",
        "convolution",
        "other",
    ]
    assert len(set(colours_of([3, 5, 7]))) == 3


def test_names_are_escaped():
    ElementTree.fromstring(chart([Series("<a>", [(1, 2)]), Series("&", [(1, 2)], "points", ["<"])], "<t>", "&"))
    ElementTree.fromstring(shares({"<a>": [1.0]}, ["none"], [1], "<t>", "&"))
