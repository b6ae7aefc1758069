"""What a step of one-shot training teaches: the blends that run on one batch, each towards the labels or towards outputs.

Lessons are a generator, ``lessons(space, rng, progress)``: it yields (blend, target) and is sent the outputs that the supernet gave under
it, which may be the target of a later one; a target of None is the labels of the batch. The weights are updated once for all of them,
by the sum of their losses. All that is drawn comes from ``rng``; ``progress`` is the share of the training that is done, from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from random import Random
from typing import Any

from supernet.costs.table import count_tables
from supernet.errors import InputError, unknown
from supernet.layers.base import Supernet
from supernet.mixture import Mix, Mixture, one_hot
from supernet.space import Architecture, Choice, SearchSpace, Taken
from supernet.task import Task

Lesson = tuple[Mixture, Any]  # the blend that runs, and the outputs that it is to give; None: the labels of the batch
Taught = Generator[Lesson, Any, None]
Lessons = Callable[[SearchSpace, Random, float], Taught]
OptionSizes = Mapping[str, Mapping[Any, float]]  # choice -> option -> its size


def uniform(space: SearchSpace, rng: Random, progress: float) -> Taught:
    """One architecture, every option equally likely. Guo et al. 2020 (SPOS), section 3.3, https://arxiv.org/abs/1904.00420"""
    yield one_hot(space, space.sample(rng)), None


def fair(space: SearchSpace, rng: Random, progress: float) -> Taught:
    """As many architectures as the longest choice has options: every option of every choice is trained, equally often.

    Chu et al. 2021 (FairNAS), section 3.2, https://arxiv.org/abs/1907.01845: strict fairness is of choices that all have as many options.
    Options of a shorter choice begin again in another order, so that they differ by one step at most. Subsets are drawn.
    """
    count = max((len(choice.able) for choice in space.values() if choice.pick is None), default=1)
    orders = {name: shuffled(choice, count, rng) for name, choice in space.items()}
    for i in range(count):
        yield one_hot(space, {name: order[i] for name, order in orders.items()}), None


def shuffled(choice: Choice, count: int, rng: Random) -> list[Taken]:
    """``count`` options: all in a random order, and again until there are enough; of a subset, as many draws."""
    if choice.pick is not None:
        return [choice.draw(rng) for _ in range(count)]
    found: list[Taken] = []
    while len(found) < count:
        found += rng.sample(choice.able, len(choice.able))
    return found[:count]


def sandwich(
    space: SearchSpace,
    rng: Random,
    progress: float,
    between: int = 2,
    draw: Callable[[], Architecture] | None = None,
    sizes: OptionSizes | None = None,
) -> Taught:
    """The largest architecture by the labels; ``between`` random ones and the smallest by the outputs of the largest.

    ``draw``: where those between come from, one after the other; by default every option is equally likely. ``sizes``: of the options
    of a choice that has no sizes of its own.

    Yu, Huang 2019 (Universally Slimmable Networks), sections 3.2 and 3.3, https://arxiv.org/abs/1903.05134; Yu et al. 2020 (BigNAS),
    https://arxiv.org/abs/2003.11142. Sizes are options that are numbers, and how many of a subset are kept; what has no size is drawn.
    Raises ``InputError`` for a space without sizes.
    """
    sizes = sizes or {}
    if not any(sized(choice) or name in sizes for name, choice in space.items()):
        raise InputError("a sandwich is of sizes: it needs options that are numbers, or cost unequally, or that are kept in unequal number")
    teacher = yield one_hot(space, extreme(space, rng, sizes, largest=True)), None
    for _ in range(between):
        yield one_hot(space, draw() if draw else space.sample(rng)), teacher
    yield one_hot(space, extreme(space, rng, sizes, largest=False)), teacher


def sized(choice: Choice) -> bool:
    """Whether what a choice takes can be larger or smaller."""
    if choice.pick is not None:
        return choice.pick[0] < choice.pick[1]
    return len(choice.able) > 1 and not any(isinstance(option, str) for option in choice.able)


def extreme(space: SearchSpace, rng: Random, sizes: OptionSizes, largest: bool) -> Architecture:
    """The largest, or the smallest, architecture; among options of one size, and where a choice has no sizes, it is drawn."""

    def take(name: str, choice: Choice) -> Taken:
        if choice.pick is not None:
            count = choice.pick[1 if largest else 0]
            return tuple(choice.able[i] for i in sorted(rng.sample(range(len(choice.able)), count)))
        if name not in sizes:
            return (max if largest else min)(choice.able) if sized(choice) else choice.draw(rng)
        end = (max if largest else min)(sizes[name][option] for option in choice.able)
        return rng.choice([option for option in choice.able if sizes[name][option] == end])

    return {name: take(name, choice) for name, choice in space.items()}


def sizes_by_macs(supernet: Supernet, task: Task) -> dict[str, dict[Any, float]]:
    """In a space without sizes of its own: choice -> option -> the multiply-adds that it adds at most; where these differ.

    Raises ``InputError`` where a block's cost depends on too many choices at once.
    """
    space = supernet.space
    if any(map(sized, space.values())):
        return {}
    table = count_tables(supernet, *task.sample(1))["macs"]
    found = {name: dict.fromkeys(choice.options, 0.0) for name, choice in space.items() if choice.pick is None}
    for names, values in table.items():
        for axis, name in enumerate(names):
            if name in found:
                most = values.movedim(axis, 0).reshape(len(space[name].options), -1).amax(1)
                found[name] = {option: size + float(m) for (option, size), m in zip(found[name].items(), most, strict=True)}
    return {name: sizes for name, sizes in found.items() if len({sizes[option] for option in space[name].able}) > 1}


def path_dropout(space: SearchSpace, rng: Random, progress: float, rate: float = 0.05) -> Taught:
    """All options at once, added up, but for those that are dropped: each of k options with probability ``(rate * progress) ** (1 / k)``.

    Bender et al. 2018, section 3.2, https://proceedings.mlr.press/v80/bender18a.html: ``rate``, which is reached linearly, is how probable
    it is that all options of a choice are dropped. There is one drawn instead, since a layer has to give something.
    """
    mixture = {}
    for name, choice in space.items():
        able = [i for i, option in enumerate(choice.options) if option in choice.able]
        dropped = (rate * progress) ** (1 / len(able)) if progress else 0.0
        mixture[name] = Mix(None, tuple(i for i in able if rng.random() >= dropped) or (rng.choice(able),))
    yield mixture, None


def by_cost(
    space: SearchSpace,
    rng: Random,
    progress: float,
    *,
    cost: Callable[[Architecture], float],
    least: float,
    most: float,
    bins: int = 7,
    tries: int = 500,
) -> Taught:
    """One architecture whose cost lies in one of ``bins`` equal parts of ``least`` to ``most``, each part equally likely.

    Guo et al. 2020 (SPOS), section 3.3, https://arxiv.org/abs/1904.00420; https://github.com/megvii-model/SinglePathOneShot, which has
    seven parts of 290 to 360 million multiply-adds. After ``tries`` draws without success one of them is taken, within the range if any is.
    ``functools.partial(by_cost, cost=..., least=..., most=...)`` are lessons.
    """
    width = (most - least) / bins
    low = least + width * rng.randrange(bins)
    drawn = space.sample(rng)
    for _ in range(tries):
        arch = space.sample(rng)
        spent = cost(arch)
        if low <= spent <= low + width:
            drawn = arch
            break
        if least <= spent <= most:
            drawn = arch
    yield one_hot(space, drawn), None


LESSONS: dict[str, Lessons] = {"uniform": uniform, "fair": fair, "sandwich": sandwich, "path-dropout": path_dropout}


def lessons_of(given: Lessons | str, supernet: Supernet, task: Task) -> Lessons:
    """The lessons themselves, or those of a name in ``LESSONS``; raises ``InputError`` for another name, and where the space has none."""
    if isinstance(given, str):
        if given not in LESSONS:
            raise unknown("kind of lessons", given, LESSONS)
        given = LESSONS[given]
    lessons = partial(sandwich, sizes=sizes_by_macs(supernet, task)) if given is sandwich else given
    next(lessons(supernet.space, Random(0), 0.0))
    return lessons
