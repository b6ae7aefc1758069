from collections.abc import Callable, Iterator, Mapping
from random import Random

import pytest

from supernet.costs.latency.timing import Effort, Timing, measure, visit


class Machine:
    """A clock that calls turn: each takes the milliseconds that its list says, the last of them from then on."""

    def __init__(self, **durations: list[float]):
        self.now, self.log, self.durations = 0.0, list[str](), durations
        self.calls: dict[str, Callable[[], object]] = {name: self._call(name) for name in durations}

    def __call__(self) -> float:
        return self.now

    def _call(self, name: str) -> Callable[[], None]:
        def call() -> None:
            self.log.append(name)
            left = self.durations[name]
            self.now += (left.pop(0) if len(left) > 1 else left[0]) / 1000

        return call


def test_every_call_is_visited_once_a_round_in_an_order_that_changes() -> None:
    effort = Effort(least=8, most=8)
    machine, again = (Machine(**{name: [3.0] for name in "abcdef"}) for _ in range(2))
    for each in (machine, again):
        measure(each.calls, rng=Random(0), effort=effort, clock=each)
    assert again.log == machine.log
    assert len(machine.log) == 6 * 3 * 9  # three calls a visit; a visit before the first warms up
    rounds = [machine.log[i : i + 18] for i in range(36, len(machine.log), 18)]
    assert all(sorted(names) == sorted("abcdef" * 3) for names in rounds)
    assert len({tuple(names) for names in rounds}) > 4


def test_a_visit_is_as_long_as_asked_and_gives_the_fastest_of_its_calls() -> None:
    machine = Machine(a=[0.5, 0.4, 0.9, 0.5])
    assert visit(machine.calls["a"], 2.0, machine) == pytest.approx(0.4)
    assert len(machine.log) == 4
    slow = Machine(a=[7.0, 6.0, 9.0])
    assert visit(slow.calls["a"], 2.0, slow) == pytest.approx(6.0)
    assert len(slow.log) == 3


def test_a_visit_ends_although_its_clock_stands_still() -> None:
    assert visit(lambda: None, 2.0, lambda: 1.0) == 0.0


def test_a_call_that_is_steady_is_left_alone_and_another_visited_up_to_the_most() -> None:
    machine = Machine(steady=[3.0], wild=[float(3 + 3 * (i // 3 % 2)) for i in range(300)])
    visits = measure(machine.calls, rng=Random(0), effort=Effort(least=5, most=12), clock=machine)
    assert len(visits["steady"]) == 5 and len(visits["wild"]) == 12


def test_the_median_of_the_visits_is_not_moved_by_a_busy_minute() -> None:
    timing = Timing.of([2.0, 2.1, 1.9, 20.0, 30.0, 2.0, 2.0])
    assert timing.median_ms == 2.0 and timing.minimum_ms == 1.9 and timing.visits == 7
    assert Timing.of([4.0]) == Timing(4.0, 4.0, 0.0, 1)
    assert Timing.of([1.0, 2.0, 3.0, 4.0, 5.0]).spread == pytest.approx(2 / 3)


class Lazy(Mapping[str, Callable[[], object]]):
    """Calls that are made when looked up; says which were."""

    def __init__(self, calls: Mapping[str, Callable[[], object]]):
        self.calls, self.looked = calls, set[str]()

    def __getitem__(self, name: str) -> Callable[[], object]:
        self.looked.add(name)
        return self.calls[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)


def test_an_interrupted_measurement_goes_on_and_measures_nothing_again() -> None:
    machine = Machine(a=[3.0], b=[3.0], c=[5.0])
    full = Effort(least=6, most=6)
    kept: list[dict[str, list[float]]] = []

    def interrupt() -> None:
        machine.calls["c"]()
        if machine.log.count("c") > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure({**machine.calls, "c": interrupt}, rng=Random(1), effort=full, keep=kept.append, clock=machine)
    before = {name: len(times) for name, times in kept[-1].items()}
    assert before["c"] == 3 and before["a"] >= 3
    kept[-1]["a"] = [3.0] * 6
    machine.log.clear()
    lazy = Lazy(machine.calls)
    visits = measure(lazy, rng=Random(2), effort=full, known=kept[-1], keep=kept.append, clock=machine)
    assert {len(times) for times in visits.values()} == {6} and kept[-1] == visits
    assert "a" not in machine.log and lazy.looked == {"b", "c"}
    assert machine.log.count("c") == 3 * (6 - before["c"] + 1)


class Said:
    """A progress bar that remembers."""

    def __init__(self) -> None:
        self.done, self.text = 0, list[str]()

    def advance(self, **facts: object) -> None:
        self.done += 1

    def say(self, text: str) -> None:
        self.text.append(text)


def test_the_first_round_says_how_many_there_are_and_progress_counts_those_that_are_known() -> None:
    machine, said = Machine(a=[3.0], b=[3.0], c=[3.0]), Said()
    measure(machine.calls, rng=Random(0), known={"b": [3.0] * 5}, progress=said, clock=machine)  # type: ignore[arg-type]
    assert said.done == 3
    assert len(said.text) == 1 and said.text[0].startswith("2 to time, ")
