import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_folders import darts_run, evolution_run, retrain_run, tried, write_run

from supernet.errors import InputError, RunError
from supernet.metrics import Metric
from supernet.report.page import write_comparison, write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}
COMPARISON = {
    "methods": {
        "darts": {
            "validation": {"mean": 0.8771, "std": 0.004},
            "evaluations": 1,
            "measured": {"seconds": 8120.0},
            "over_random": {"validation": {"mean": 0.012, "low": 0.003, "high": 0.021}},
        },
        "random": {"validation": {"mean": 0.8651, "std": 0.006}, "evaluations": 120, "measured": {"seconds": 6900.0}},
    },
    "space": "darts",
    "seeds": 4,
    "budget": "120evals",
}


class Page(HTMLParser):
    """Elements must be closed in order; collects headings, cells, addresses and texts."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[tuple[str, str]] = []  # (element, text)
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.ids += [v for k, v in attributes if k == "id"]
        self.links += [v for k, v in attributes if k in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, element: str) -> list[str]:
        return [text for name, text in self.texts if name == element]


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_a_search_reports_every_part_it_has_data_for(tmp_path):
    path = write_report(darts_run(tmp_path))
    assert path.name == "report.html"
    found = page(path)
    assert found.of("h1") == ["darts in the space darts"]
    parts = ["Summary", "Learning curves", "Architecture", "Network", "Shares of the options", "Comparison with random search", "Settings"]
    assert found.of("h2") == [*parts, "Measured"]
    facts = dict(zip(found.of("dt"), found.of("dd"), strict=True))
    assert facts["Validation accuracy"] == "87.71 %" and facts["Parameters"] == "3,349,342 (3.35 M)" and facts["Data"] == "cifar10"
    assert facts["Limit on parameters"] == "at most 4,000,000; holds"
    assert facts["Limit on multiply-adds"] == "at most 500,000,000; does not hold"
    assert found.of("pre")[0].startswith("Genotype(normal=")
    assert "normal.5<4" in found.of("text") and "Normal cell" in found.of("text")


def test_a_searcher_reports_trials_and_the_best_of_them(tmp_path):
    folder = evolution_run(tmp_path)
    found = page(write_report(folder))
    assert "Trials" in found.of("h2") and "Learning curves" not in found.of("h2")
    scored = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    best = max((t for t in scored if t["scores"]), key=lambda t: t["scores"]["accuracy"])
    first = found.of("td")[found.of("td").index(str(best["trial"])) :][:3]
    assert first[1] == " ".join(best["architecture"].values()) and first[2] == f"{100 * best['scores']['accuracy']:.2f} %"
    assert {"best so far", "Pareto front", "random search", "found by the search"} <= set(found.of("text"))


def test_a_retraining_reports_its_test_accuracy(tmp_path):
    found = page(write_report(retrain_run(tmp_path)))
    assert found.of("h1") == ["Training of darts-v2"]
    assert dict(zip(found.of("dt"), found.of("dd"), strict=True))["Test"] == "96.42 %"
    assert "Trials" not in found.of("h2") and "Shares of the options" not in found.of("h2")


def test_a_run_that_is_not_finished_is_reported_as_far_as_it_got(tmp_path):
    found = page(write_report(darts_run(tmp_path, epochs=3, finished=False, baseline=False)))
    assert any("not finished" in text for text in found.of("p"))
    assert "3 of 30" in found.of("dd") and "What would be derived after epoch 3." in found.of("p")
    assert "Normal cell" in found.of("text")


def test_a_run_that_has_only_begun_is_reported(tmp_path):
    folder = write_run(tmp_path / "new", {"method": "darts", "space": "darts"}, [], None)
    assert page(write_report(folder)).of("h2") == ["Summary", "Settings"]


@pytest.mark.parametrize("run", [darts_run, evolution_run, retrain_run])
def test_a_report_is_one_file_that_needs_no_other(tmp_path, run):
    path = write_report(run(tmp_path))
    html, found = path.read_text(encoding="utf-8"), page(path)
    assert html.startswith("<!DOCTYPE html>") and "<script" not in html and "@import" not in html and "url(" not in html
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    assert set(found.links) == {f"#{name}" for name in found.ids} and len(found.ids) == len(set(found.ids))


def test_a_report_written_again_is_the_same(tmp_path):
    folder = darts_run(tmp_path)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("cut", ['{"epoch": 31, "loss": 0.', '{"epoch": 31}'[:-1], '{"epo', "\x00\xff", "17"])
def test_an_unfinished_last_line_is_ignored(tmp_path, cut):
    folder = darts_run(tmp_path)
    whole = write_report(folder).read_bytes()
    with (folder / "history.jsonl").open("a") as file:
        file.write(cut)
    assert write_report(folder).read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("history.jsonl", "{broken\n{}\n", "line 1"),
        ("history.jsonl", '{"epoch": 1}\n[]\n', "line 2"),
        ("history.jsonl", '{"epoch": "one"}\n', "epoch must be a number"),
        ("history.jsonl", '{"epoch": 1, "loss": "high"}\n', "loss must be a number"),
        ("history.jsonl", '{"epoch": 1, "mixture": {"a": "b"}}\n', "mixture of a"),
        ("history.jsonl", '{"trial": 1, "scores": [1]}\n', "scores must be names"),
        ("config.yaml", "a: [1\nb", "not YAML"),
        ("config.yaml", "- 1\n", "names and values"),
        ("architecture.json", "{", "not JSON"),
        ("architecture.json", "[]", "one JSON object"),
        ("architecture.json", '{"choices": 5}', "choices must be"),
        ("architecture.json", '{"genotype": "Genotype(normal=[1], normal_concat=[2], reduce=[], reduce_concat=[2])"}', "edge"),
    ],
)
def test_files_that_hold_something_else_are_refused_in_one_line(tmp_path, name, content, says):
    folder = darts_run(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="not the folder of a run"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="not the folder of a run"):
        write_report(tmp_path / "nothing")


def test_a_page_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    folder = retrain_run(tmp_path)
    (folder / "report.html").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_report(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["architecture.json", "config.yaml", "history.jsonl", "report.html"]


def test_what_users_wrote_is_escaped(tmp_path):
    bad = "<script>alert('&')</script>"
    line = {"epoch": 1, bad: 0.5, "mixture": {bad: {bad: 1.0}}, "validation": {bad: 1.0}, "measured": {bad: bad}}
    trial = {"trial": 1, "architecture": {bad: bad}, "scores": {bad: 0.5}, "outcome": bad}
    found = {"space": bad, "choices": {bad: bad}, "scores": {bad: 1}, "costs": {bad: 2.0}, "settings": {bad: [bad]}}
    path = write_report(write_run(tmp_path / "run", {"method": bad, "space": bad, bad: {bad: bad}}, [line, trial], found))
    assert "<script" not in path.read_text(encoding="utf-8")
    assert f"{bad} in the space {bad}" in "".join(page(path).of("h1"))


def test_names_of_options_can_be_given_are_read_from_the_mixture_or_are_numbers(tmp_path):
    def texts(mixture, options=None):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        write_run(folder, {}, [{"epoch": e, "mixture": mixture} for e in (1, 2)], None)
        return page(write_report(folder, options)).of("text")

    assert "k5 70 %" in texts({"block": [0.3, 0.7]}, {"block": ("k3", "k5")})
    assert "k5 70 %" in texts({"block": {"k3": 0.3, "k5": 0.7}})
    assert "1 70 %" in texts({"block": [0.3, 0.7]})


def test_a_choice_whose_options_became_fewer_is_shown_from_then_on(tmp_path):
    lines = [{"epoch": e, "mixture": {"block": [0.25] * 4 if e < 3 else [0.1, 0.9]}} for e in range(1, 6)]
    folder = write_run(tmp_path / "run", {}, lines, None)
    assert "1 90 %" in page(write_report(folder)).of("text")


def test_a_search_of_many_trials_stays_a_small_page(tmp_path):
    folder = write_run(tmp_path / "run", {"method": "evolution"}, tried(20000, 0.6, 0.9), None)
    assert write_report(folder).stat().st_size < 1_000_000


names = st.sampled_from(["a", "params", "accuracy", "seconds", "normal.2", "normal.2<0", "1<0", "3"])
number = st.floats() | st.integers(-5, 10**10)
plain = st.recursive(
    st.none() | st.booleans() | number | st.sampled_from(["", "none", "Genotype(normal=", "sep_conv_3x3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
scores = st.dictionaries(names, number | plain, max_size=3)
shares = st.dictionaries(
    names, st.lists(st.floats(0, 1), min_size=1, max_size=9) | st.dictionaries(names, st.floats(0, 1), min_size=1, max_size=3)
)
taken = st.dictionaries(
    names, st.sampled_from(["none", "sep_conv_3x3", "k3"]) | st.lists(st.integers(0, 3), max_size=3) | number, max_size=4
)
parts = {"loss": number, "accuracy": number, "mixture": shares, "architecture": taken, "outcome": st.just("scored")}
parts |= dict.fromkeys(("validation", "test", "scores", "costs", "measured"), scores)


def mostly(kinds):
    """Any of the entries, one in a few of another kind."""
    return st.fixed_dictionaries({}, optional={name: st.one_of(*[kind] * 6, plain) for name, kind in kinds.items()})


lines = st.lists(
    st.builds(lambda k, n, entries: {k: n, **entries}, st.sampled_from(["epoch", "trial"]), st.integers(0, 5), mostly(parts)), max_size=4
)
results = mostly({"choices": taken, "costs": scores, "scores": scores, "settings": scores, "space": st.just("darts")})
configs = mostly({"limits": scores, "method": st.just("darts"), "data": scores, "epochs": number})


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=lines, found=results, config=configs, baseline=lines)
def test_any_plain_data_is_reported_or_refused(tmp_path, lines, found, config, baseline):
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    folder = write_run(tmp_path / "run", config, lines, found)
    write_run(folder / "baseline", config, baseline, found)
    try:
        page(write_report(folder))
    except InputError as error:
        assert "\n" not in str(error)


def test_a_comparison_tables_every_method_with_its_difference_from_random_search(tmp_path):
    found = page(write_comparison(COMPARISON, tmp_path))
    assert found.of("h1") == ["Comparison in the space darts"]
    assert found.of("td") == [
        "darts",
        "87.71 ± 0.40",
        "+1.20 [+0.30, +2.10]",
        "1",
        "2 h 15 min",
        "random",
        "86.51 ± 0.60",
        "120",
        "1 h 55 min",
    ]
    assert "Validation over random (points)" in found.of("th") and "seconds, all seeds" in found.of("text")


def test_a_comparison_shows_every_seed_where_its_results_are_there(tmp_path):
    lines = [{"method": m, "seed": s, "validation": 0.8 + s / 100, "params": 3e6 + s} for m in ("darts", "random") for s in range(4)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = page(write_comparison(COMPARISON, tmp_path))
    assert "each seed" in found.of("text") and "parameters" in found.of("text") and "seconds, all seeds" not in found.of("text")


@pytest.mark.parametrize("result", [{}, {"methods": {}}, {"methods": [1]}, {"methods": {"darts": 1}}])
def test_a_comparison_of_something_else_is_refused(tmp_path, result):
    with pytest.raises(InputError, match="not the result of a comparison"):
        write_comparison(result, tmp_path)


def test_trials_far_from_the_rest_do_not_flatten_the_picture(tmp_path):
    trials = tried(60, 0.8, 0.9)
    trials[10] |= {"scores": {"accuracy": 0.1}, "outcome": "scored"}
    path = write_report(write_run(tmp_path / "run", {"method": "evolution"}, trials, None))
    assert "The pictures leave out 1 that scored far below the rest." in page(path).of("p")
    assert "trial 11:" not in path.read_text() and "trial 12:" in path.read_text()


def test_scores_of_a_table_in_percent_stay_as_they_are(tmp_path):
    trials = [{"trial": i, "architecture": {"0": "id"}, "scores": {"validation": 90 + i / 10}, "outcome": "scored"} for i in range(1, 9)]
    scores = {"validation": 90.8, "validation_validation": 90.8}
    config = {"method": "random", "table": {"file": "nb201.npz"}, "data": {"source": "digits"}}
    found = page(write_report(write_run(tmp_path / "run", config, trials, {"choices": {"0": "id"}, "scores": scores})))
    facts = dict(zip(found.of("dt"), found.of("dd"), strict=True))
    assert facts["Validation"] == "90.8" and facts["Table"] == "nb201.npz" and "Data" not in facts


def test_two_seeds_are_drawn_without_an_interval(tmp_path):
    methods = {"darts": {"validation": {"mean": 0.9, "std": 0.02}}, "random": {"validation": {"mean": 0.88, "std": 0.01}}}
    lines = [{"method": m, "seed": s, "validation": 0.9 - s / 100} for m in methods for s in range(3)]
    for seeds, deviation in ((2, 0), (3, 2)):
        folder = tmp_path / str(seeds)
        folder.mkdir()
        (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines if line["seed"] < seeds))
        path = write_comparison({"methods": methods, "seeds": seeds}, folder)
        bars = re.findall(r"h8M", path.read_text())
        assert len(bars) == deviation and sum("±" in text for text in page(path).of("td")) == deviation
        assert any("fewer than 3 seeds give no deviation" in text for text in page(path).of("p")) == (seeds < 3)


def test_what_is_constant_is_said_and_has_no_axis(tmp_path):
    lines = [{"epoch": e, "loss": 2 / e, "learning_rate": 0.025, "validation": {"accuracy": 0.5}} for e in (1, 2, 3)]
    found = page(write_report(write_run(tmp_path / "run", {"method": "darts"}, lines, None)))
    assert "Loss" in found.of("text") and "Learning rate" not in found.of("text")
    assert {"Learning rate: 0.025 throughout.", "Accuracy (%), validation: 50 throughout."} <= set(found.of("p"))


def test_shares_and_entropies_are_drawn_over_the_whole_axis(tmp_path):
    cells = [{"all": {"operations": 6, "skips": n, "pooling": 0, "none": 0}} for n in (1, 2)]
    lines = [{"epoch": e, "alarm": {"cells": c, "entropy": 0.9989 - e / 1e4}} for e, c in enumerate(cells, start=1)]
    texts = page(write_report(write_run(tmp_path / "run", {"method": "darts"}, lines, None))).of("text")
    entropy, skips = texts.index("Mean entropy of the choices (1: undecided)"), texts.index("Skip-connections in what would be derived (%)")
    assert {"0.0", "1.0"} <= set(texts[entropy : entropy + 9])
    assert {"0", "100"} <= set(texts[skips : skips + 9])


def test_settings_that_are_not_set_are_not_listed(tmp_path):
    config = {"method": "darts", "seed": 0, "steps": None, "supernet": {}, "table": {"file": None}, "weights": {"lr": 0.1, "clip": None}}
    found = page(write_report(write_run(tmp_path / "run", config, [], None)))
    assert found.of("td") == ["method", "darts", "seed", "0", "weights.lr", "0.1"]


def test_a_module_of_ones_own_is_a_chain_of_named_blocks(tmp_path):
    choices = {"block": "k3", "stage": 2, "stage.blocks.0.conv": "k7", "width": 16}
    trials = [{"trial": 1, "architecture": choices, "scores": {"accuracy": 0.9}, "outcome": "scored"}]
    found = {"space": "own", "choices": choices, "scores": {"validation_accuracy": 0.9}, "costs": {"params": 7386}}
    found |= {"limits": {"params": {"bound": 8000, "holds": True}}}
    read = page(write_report(write_run(tmp_path / "run", {"method": "one-shot"}, trials, found)))
    assert read.of("h1") == ["one-shot in a module of one's own"]
    assert {"block k3", "stage 2", "stage.blocks.0.conv k7", "width 16"} <= set(read.of("text"))
    assert "block k3, stage 2, stage.blocks.0.conv k7, width 16" in read.of("td")
    assert "at most 8,000; holds" in read.of("dd") and any("The bound of 8,000 on parameters is met" in text for text in read.of("p"))


def test_what_was_not_decided_is_said_beside_the_summary(tmp_path):
    verdicts = {"alphas": {"decided": False, "says": "the alphas are nearly uniform"}, "baseline": {"decided": True, "says": "better"}}
    both = page(write_report(write_run(tmp_path / "run", {}, [], {"decided": verdicts, "choices": {"0": "a"}})))
    assert both.of("h2")[:2] == ["Summary", "Decided in part"] and "the alphas are nearly uniform" in both.of("td")


def test_a_constant_cost_is_said_beside_its_bound(tmp_path):
    lines = [{"epoch": e, "loss": 2 / e, "price": {"params": {"cost": 13834, "bound": 8000, "strength": 10.0**e}}} for e in (1, 2)]
    found = page(write_report(write_run(tmp_path / "run", {"method": "darts"}, lines, None)))
    assert "Parameters: derived 13,834, bound: 8,000 throughout." in found.of("p")


def test_choices_without_a_picture_are_listed_once(tmp_path):
    choices = {"stage": 3, "block": "k5", "head.width": "w2"}
    found = page(write_report(write_run(tmp_path / "r", {"method": "darts"}, [], {"space": "some", "choices": choices})))
    assert [text for _, text in found.texts].count("head.width") == 1 and "Architecture" not in found.of("h2")


def test_metrics_are_called_what_their_tasks_call_them(tmp_path):
    share = {"larger": True, "unit": "share"}
    own = Metric(lambda outputs, targets: outputs, label="macro F1").score("macro_f1").facts()
    config = {"method": "darts", "metrics": {"miou": share, "pixels": share, "macro_f1": own}}
    lines = [{"epoch": e, "loss": 1 / e, "validation": {"miou": 0.1 * e, "pixels": 0.2 * e, "macro_f1": 0.3 * e}} for e in (1, 2)]
    found = {"choices": {"a": "b"}, "scores": {"validation_miou": 0.2, "miou_trained_alike": 0.3, "validation_pixels": 0.4}}
    found["scores"]["validation_macro_f1"] = 0.6
    texts = [text for _, text in page(write_report(write_run(tmp_path / "r", config, lines, found))).texts]
    assert {"Validation mIoU", "mIoU trained alike", "Validation pixel accuracy", "mIoU (%), validation"} <= set(texts)
    assert {"Validation macro F1", "Macro F1 (%), validation"} <= set(texts)  # of a task of one's own
    assert not any("miou" in text.replace("metrics.miou", "").replace("mIoU", "").lower() for text in texts)
