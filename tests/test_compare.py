import itertools
import json
import threading

import numpy as np
import pytest

from supernet.compare import compare
from supernet.costs.objective import Objective
from supernet.errors import InputError, RunError
from supernet.estimators.tabular import Table
from supernet.study.on_table import Study
from supernet.summary import summary
from supernet.workers import Workers
from supernet.workers.within import Thread


def table():
    """625 architectures; the score is the number of the option taken, summed; the test score is half of it."""
    ops = np.array(list(itertools.product(range(5), repeat=4)))
    score = ops.sum(1).astype(float)
    return Table({"ops": ops, "op_names": np.array(list("abcde")), "val": score, "test": score / 2})


def run(out, names=("evolution",), evaluations=40, seeds=range(4), method=None, **options):
    searchers = {"evolution": ("evolution", {"population": 10, "tournament": 4})}
    method = method or Study(table(), (evaluations,), Objective(("validation",)), searchers).method
    return compare(names, method, seeds, out, space="sums", budget=f"{evaluations}evals", **options)


def counted(values, calls):
    """A method for ``compare`` whose scores are given by name and seed."""

    def method(name):
        def once(seed):
            calls.append((name, seed))
            return {"validation": values[name][seed], "test": values[name][seed] / 2, "evaluations": 5}

        return once

    return method


VALUES = {"random": [1.0, 2.0, 3.0], "darts": [2.0, 4.0, 6.0]}


def test_random_search_is_always_among_the_methods(tmp_path):
    document = run(tmp_path, seeds=range(8))
    assert list(document["methods"]) == ["evolution", "random"]
    assert (document["space"], document["seeds"], document["budget"]) == ("sums", 8, "40evals")
    evolution = document["methods"]["evolution"]
    assert evolution["evaluations"] == 40 and evolution["measured"]["seconds"] > 0
    assert evolution["validation"]["mean"] > document["methods"]["random"]["validation"]["mean"]
    assert evolution["test"]["mean"] == evolution["validation"]["mean"] / 2
    assert json.loads((tmp_path / "compare.json").read_text()) == document


def test_mean_deviation_and_interval_are_those_of_the_sample(tmp_path):
    methods = run(tmp_path, ["darts"], seeds=range(3), method=counted(VALUES, []))["methods"]
    assert methods["random"]["validation"] == {"mean": 2.0, "std": 1.0}
    assert methods["darts"]["validation"] == {"mean": 4.0, "std": 2.0}
    assert "over_random" not in methods["random"]
    half = 4.302652729911275 / 3**0.5  # Student's t, 2 degrees of freedom, of the differences 1, 2, 3
    assert methods["darts"]["over_random"]["validation"] == pytest.approx({"mean": 2.0, "low": 2 - half, "high": 2 + half})
    assert methods["darts"]["over_random"]["test"]["mean"] == 1.0


def test_one_seed_has_no_deviation_and_no_interval(tmp_path):
    methods = run(tmp_path, ["darts"], seeds=[1], method=counted(VALUES, []))["methods"]
    assert methods["darts"]["validation"] == {"mean": 4.0, "std": 0.0}
    assert methods["darts"]["over_random"]["validation"] == {"mean": 2.0, "low": None, "high": None}


def test_two_seeds_give_no_interval_and_say_so(tmp_path):
    darts = run(tmp_path, ["darts"], seeds=range(2), method=counted(VALUES, []))["methods"]["darts"]
    assert darts["over_random"]["validation"]["low"] is darts["over_random"]["validation"]["high"] is None
    assert darts["decided"]["validation"]["decided"] is False and "2 seeds say nothing" in darts["decided"]["validation"]["says"]


def test_a_difference_whose_interval_holds_zero_is_called_none(tmp_path):
    darts = run(tmp_path, ["darts"], seeds=range(3), method=counted(VALUES, []))["methods"]["darts"]
    assert darts["over_random"]["validation"]["low"] < 0
    assert darts["decided"]["validation"]["says"].endswith("no difference is shown")


def test_a_score_that_a_method_does_not_give_is_left_out():
    line = {"validation": 1.0, "evaluations": 3, "measured": {"seconds": 2.0}}
    methods = summary({"random": [{**line, "test": 2.0}], "darts": [line]})["methods"]
    assert "test" not in methods["darts"] and list(methods["darts"]["over_random"]) == ["validation"]


def test_results_that_are_there_are_not_run_again(tmp_path):
    calls = []
    run(tmp_path, ["darts"], seeds=range(2), method=counted(VALUES, calls))
    assert calls == [("darts", 0), ("random", 0), ("darts", 1), ("random", 1)]
    document = run(tmp_path, ["darts"], seeds=range(3), method=counted(VALUES, calls))
    assert calls[4:] == [("darts", 2), ("random", 2)]
    assert document["methods"]["darts"]["validation"]["mean"] == 4.0


def test_killed_while_a_line_was_written_it_goes_on_to_the_same_document(tmp_path):
    whole = run(tmp_path / "whole")
    run(tmp_path / "cut")
    path = tmp_path / "cut" / "results.jsonl"
    path.write_text(path.read_text()[:-700])
    assert without_clock(run(tmp_path / "cut")) == without_clock(whole)
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 0, 1, 1, 2, 2, 3, 3]


def without_clock(document):
    return {name: {k: v for k, v in entry.items() if k != "measured"} for name, entry in document["methods"].items()}


def test_results_of_another_comparison_are_refused(tmp_path):
    run(tmp_path, settings=of("cifar10"))
    with pytest.raises(InputError, match="the budget '40evals', not '50evals'; give another folder"):
        run(tmp_path, evaluations=50, settings=of("cifar10"))
    with pytest.raises(InputError, match=r"the settings .*cifar10.*, not .*cifar100"):
        run(tmp_path, settings=of("cifar100"))
    (tmp_path / "results.jsonl").write_text("[1]\n")
    with pytest.raises(InputError, match=r"line 1 of .* is not a result"):
        run(tmp_path)


def of(dataset):
    return lambda name: {"dataset": dataset}


def test_a_method_can_join_those_that_were_compared_and_its_settings_are_its_own(tmp_path):
    calls, settings = [], {"darts": {"rate": 1}, "gdas": {"rate": 2}, "random": {}}
    values = VALUES | {"gdas": [3.0, 3.0, 3.0]}
    run(tmp_path, ["darts"], seeds=range(2), method=counted(values, calls), settings=settings.get)
    document = run(tmp_path, ["gdas"], seeds=range(2), method=counted(values, calls), settings=settings.get)
    assert calls[4:] == [("gdas", 0), ("gdas", 1)] and list(document["methods"]) == ["gdas", "random"]
    assert (
        list(run(tmp_path, ["gdas", "darts"], seeds=range(2), method=counted(values, calls), settings=settings.get)["methods"])[1]
        == "darts"
    )
    settings["darts"] = {"rate": 3}
    run(tmp_path, ["gdas"], seeds=range(2), method=counted(values, calls), settings=settings.get)
    with pytest.raises(InputError, match=r"holds darts with the settings {'rate': 1}, not {'rate': 3}"):
        run(tmp_path, ["darts", "gdas"], seeds=range(2), method=counted(values, calls), settings=settings.get)
    assert len(calls) == 6


def test_an_unknown_method_ends_it_before_anything_is_run(tmp_path):
    with pytest.raises(InputError, match="did you mean 'evolution'"):
        run(tmp_path, ["random", "evolutio"])
    assert not list(tmp_path.iterdir())


def test_no_seed_is_refused_and_progress_names_what_is_run(tmp_path):
    with pytest.raises(InputError, match="at least one seed"):
        run(tmp_path, seeds=[])
    seen = []
    run(tmp_path, ["random"], seeds=[3], progress=lambda *at: seen.append(at))
    assert seen == [("random", 3)]


def test_a_second_comparison_in_one_folder_is_refused_while_the_first_runs(tmp_path):
    seen = []

    def second(name, seed):
        with pytest.raises(RunError, match="is being written by another process"):
            run(tmp_path)
        seen.append((name, seed))

    run(tmp_path, ["random"], seeds=range(2), progress=second)
    assert seen == [("random", 0), ("random", 1)]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2
    run(tmp_path, ["random"], seeds=range(3))  # its lock is free again


def test_a_folder_that_holds_a_run_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("command: search")
    with pytest.raises(InputError, match="holds a run; give another folder"):
        run(tmp_path)


def test_where_one_of_several_fails_the_others_are_stopped(tmp_path):
    stopped = threading.Event()

    def method(name):
        def once(seed):
            if seed == 0:
                raise RunError("it failed")
            assert stopped.wait(10), "the others were not stopped"
            return {"validation": 1.0, "evaluations": 1}

        return once

    with pytest.raises(RunError, match="it failed"):
        run(tmp_path, ["random"], seeds=range(2), method=method, workers=lambda each: Workers(lambda: Thread(each, stopped.set), 2, "it"))
    assert stopped.is_set()
