from statistics import fmean

import pytest

from supernet.costs.objective import Objective
from supernet.errors import InputError
from supernet.explore.loop import explore
from supernet.searchers import make_searcher
from supernet.searchers.tpe import TPE
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace(
    [
        *(Choice("kind", ("conv", "skip", "pool")), Choice("kernel", (3, 5, 7, 9), when=(("kind", "conv"),))),
        *(Choice("width", (8, 16, 32, 64, 128)), Choice("inputs", ("a", "b", "c"), pick=(0, 3))),
    ]
)


def worth(architecture):
    kernel = architecture["kernel"] / 10 if architecture["kind"] == "conv" else 0.0
    return kernel - abs(architecture["width"] - 64) / 100 + len(architecture["inputs"]) / 10


def test_it_beats_random_search_and_asks_for_nothing_twice():
    def found(name):
        runs = (explore(SPACE, make_searcher(name, SPACE, seed), lambda a: {"accuracy": worth(a)}, 30, Objective()) for seed in range(3))
        return fmean(best.score[0] for best, *_ in runs)

    assert found("tpe") > found("random")
    searcher = TPE(SPACE, 0, startup=1)
    searcher.tell(*searcher.ask(), (0.5,))
    asked = [searcher.ask() for _ in range(10)]  # of which none is told
    assert len({SPACE.key(architecture) for _, architecture in asked}) == 10


def test_what_is_beyond_the_bounds_is_avoided():
    searcher = TPE(SPACE, 0)
    for _ in range(30):
        number, architecture = searcher.ask()
        searcher.tell(number, architecture, "infeasible" if architecture["kind"] == "conv" else (1.0,))
    assert [architecture["kind"] for architecture, _ in searcher.tried[20:]].count("conv") <= 3


def test_a_space_is_asked_for_whole():
    space = SearchSpace([Choice("a", (1, 2, 3)), Choice("b", ("x", "y"))])
    trials = explore(space, make_searcher("tpe", space, startup=2), lambda a: {"accuracy": a["a"]}, 10, Objective())
    assert len(trials) == 6


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("supernet.searchers.tpe.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"tpe needs Optuna; install it with: pip install 'supernet\[search\]'"):
        TPE(SPACE)
