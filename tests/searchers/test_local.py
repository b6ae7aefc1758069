from random import Random

import pytest

from supernet.errors import InputError
from supernet.searchers.local import LocalSearch
from supernet.space import Choice, SearchSpace

SPACE = SearchSpace([Choice("x", tuple(range(6))), Choice("y", tuple(range(6))), Choice("z", ("p", "q"), when=(("x", 0),))])


def worth(architecture):
    return Random(SPACE.key(architecture)).random()


def ascend(architecture):
    """The plain algorithm: the keys of where steepest ascent goes."""
    path = [architecture]
    while worth(best := max(SPACE.neighbours(path[-1]), key=worth)) > worth(path[-1]):
        path.append(best)
    return path


def test_goes_where_plain_steepest_ascent_goes_and_starts_anew_at_the_optimum():
    searcher = LocalSearch(SPACE, seed=2)
    for _ in range(8):
        number, start, *_ = searcher.ask()
        searcher.tell(number, start, (worth(start),))
        for place in ascend(start):
            neighbours = [SPACE.key(n) for n in SPACE.neighbours(place)]
            asked = []
            for _ in neighbours:
                number, architecture, *_ = searcher.ask()
                searcher.tell(number, architecture, (worth(architecture),))
                asked.append(SPACE.key(architecture))
            assert sorted(asked) == sorted(neighbours)


def test_order_of_neighbours_is_random():
    def order(seed):
        searcher = LocalSearch(SPACE, seed, sample=lambda rng: {"x": 1, "y": 1, "z": "p"})
        searcher.tell(*searcher.ask()[:2], (1.0,))
        return [SPACE.key(searcher.ask()[1]) for _ in range(10)]

    assert order(0) != order(1) and sorted(order(0)) == sorted(order(1))


def test_a_plateau_is_an_optimum_and_not_wandered_on():
    starts = []
    searcher = LocalSearch(SPACE, sample=lambda rng: starts.append(1) or {"x": 1, "y": 1, "z": "p"})
    for _ in range(4 * 11):
        searcher.tell(*searcher.ask()[:2], (0.5,))
    assert len(starts) == 4  # each with its 10 neighbours


def test_an_infeasible_start_is_left_for_another():
    searcher = LocalSearch(SPACE, sample=lambda rng: {"x": rng.randrange(6), "y": 0, "z": "p"})
    for _ in range(20):
        searcher.tell(*searcher.ask()[:2], "infeasible")
    assert searcher.ask()[1]["y"] == 0


def test_neighbours_told_late_count_where_they_beat_what_they_are_neighbours_of():
    searcher = LocalSearch(SPACE, sample=lambda rng: {"x": 1, "y": 1, "z": "p"})
    searcher.tell(*searcher.ask()[:2], (0.5,))
    late = [searcher.ask()[:2] for _ in range(10)]
    start = searcher.ask()  # meanwhile, as nothing better is known
    assert start[1] == {"x": 1, "y": 1, "z": "p"}
    for number, architecture in late[:8]:
        searcher.tell(number, architecture, (0.4,))
    assert searcher.ask()[1] == start[1]  # none of them is moved to
    searcher.tell(*late[8], (0.6,))
    around = {SPACE.key(n) for n in SPACE.neighbours(late[8][1])}
    assert SPACE.key(searcher.ask()[1]) in around
    searcher.tell(*late[9], (0.55,))  # better than where it comes from, not than where the search is
    assert all(SPACE.key(searcher.ask()[1]) in around for _ in range(9))
    assert searcher.ask()[1] == start[1]


def test_a_better_stranger_is_moved_to():
    searcher = LocalSearch(SPACE)
    searcher.tell(*searcher.ask()[:2], (0.2,))
    searcher.tell(77, {"x": 5, "y": 5, "z": "p"}, (0.9,))
    around = {SPACE.key(n) for n in SPACE.neighbours({"x": 5, "y": 5, "z": "p"})}
    assert SPACE.key(searcher.ask()[1]) in around


def test_what_is_better_by_no_more_than_the_noise_is_not_moved_to():
    def starts(noise, score):
        begun = []
        searcher = LocalSearch(SPACE, noise=noise, sample=lambda rng: begun.append(1) or {"x": 1, "y": 1, "z": "p"})
        searcher.tell(*searcher.ask()[:2], (0.5,))
        for _ in range(10):
            searcher.tell(*searcher.ask()[:2], (score,))
        searcher.ask()
        return len(begun)

    assert starts(0.0, 0.55) == 1 and starts(0.1, 0.65) == 1  # it went on from a neighbour
    assert starts(0.1, 0.55) == 2  # an optimum: it began again


def test_less_than_no_noise_is_refused():
    with pytest.raises(InputError, match="noise is how much scores vary by chance, at least 0, not -1"):
        LocalSearch(SPACE, noise=-1)
