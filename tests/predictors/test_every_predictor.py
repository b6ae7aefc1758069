"""What every predictor promises: it ranks what it has not seen, says how well, and is the same again."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from supernet.errors import InputError
from supernet.predictors import PREDICTORS, TRUSTED, make_predictor
from supernet.predictors.encoding import rank_correlation, ranks
from supernet.predictors.ensemble import RATE, STEPS, Ensemble
from supernet.predictors.graph import following
from supernet.predictors.options import Options
from supernet.predictors.paths import Paths, edges_of
from supernet.predictors.perceptrons import Perceptrons
from supernet.space import Choice, SearchSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELL = SearchSpace(Choice(name, OPERATIONS) for name in ("1<0", "2<0", "2<1", "3<0", "3<1", "3<2"))
CHAIN = SearchSpace(
    [Choice("a", (1, 2, 3)), Choice("b", ("x", "y")), Choice("c", (0, 1), when=(("a", 2),)), Choice("d", (0, 1, 2), pick=(0, 2))]
)


@cache
def known():
    """90 cells and their scores: each 3x3 convolution counts, the more the later, and a skip beside one."""
    draw, options = Random(0), Options(CELL)
    cells = [CELL.sample(draw) for _ in range(90)]
    scores = np.array(
        [sum(int(name[0]) * (op == "nor_conv_3x3") for name, op in cell.items()) + (cell["3<0"] == "skip_connect") for cell in cells]
    )
    return options, options.rows(cells), (scores - scores.mean()) / scores.std()


@pytest.mark.parametrize("name", PREDICTORS)
def test_ranks_what_it_has_not_seen_says_how_well_and_is_the_same_again(name):
    options, rows, scores = known()
    said = []
    for _ in range(2):
        model = make_predictor(name, options, 3)
        model.fit(rows[:60], scores[:60])
        said.append(model.predict(rows[60:]))
    (means, deviations), again = said
    assert (means == again[0]).all() and (deviations == again[1]).all() and (deviations > 0).all()
    assert rank_correlation(means, scores[60:]) > 0.6 and model.agreement > 0.5


@pytest.mark.parametrize("name", PREDICTORS)
def test_learns_from_two_and_is_not_trusted_where_there_is_nothing_to_learn(name):
    options, rows, scores = known()
    model = make_predictor(name, options)
    model.fit(rows[:2], scores[:2])
    assert np.isfinite(model.predict(rows)).all()
    model.fit(rows[:60], np.random.default_rng(2).normal(size=60))
    assert model.agreement < TRUSTED


def test_equals_share_their_mean_rank():
    column = np.random.default_rng(0).integers(0, 6, 40) / 7
    assert (ranks(column) == rankdata(column)).all()


def test_gradients_of_perceptrons_by_hand_are_those_of_autograd():
    options, rows, scores = known()
    model = Perceptrons(options)
    weights = [weight + 0.1 for weight in model.weights(torch.Generator().manual_seed(0))]
    inputs, targets = torch.from_numpy(rows[:60]).float().view(5, 12, -1), torch.from_numpy(scores[:60]).float().view(5, 12)
    for by_hand, found in zip(model.gradients(weights, inputs, targets), Ensemble.gradients(model, weights, inputs, targets), strict=True):
        assert torch.allclose(by_hand, found, atol=1e-6)


def test_an_ensemble_learns_by_adam_whose_rate_falls_to_zero():
    options, rows, scores = known()
    model = Perceptrons(options, 1)
    model.fit(rows, scores)
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.from_numpy(rows).float(), torch.from_numpy(scores).float()
    parts = torch.randperm(len(rows), generator=generator) % 5
    others = [torch.nonzero(parts != member)[:, 0] for member in range(5)]
    batches = [other[torch.randint(len(other), (STEPS, 32), generator=generator)] for other in others]
    weights = [weight.requires_grad_() for weight in model.weights(generator)]
    adam = torch.optim.Adam(weights, RATE)
    for step in range(STEPS):
        drawn = torch.stack([batch[step] for batch in batches])
        adam.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        adam.zero_grad()
        (model.outputs(weights, inputs[drawn]) - targets[drawn]).abs().mean(1).sum().backward()
        adam.step()
    assert model.outputs(weights, inputs).mean(0).tolist() == pytest.approx(model.predict(rows)[0].tolist(), abs=1e-3)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(InputError, match="unknown predictor 'rigde'; did you mean 'ridge'"):
        make_predictor("rigde", known()[0])


def test_paths_of_a_cell_are_its_operations_from_the_first_node_to_the_last():
    cell = dict(zip(CELL, ("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "none", "nor_conv_1x1"), strict=True))
    paths = Paths(CELL)
    assert paths.width == 4 + 4**2 + 4**2 + 4**3  # 3<0; 1<0 3<1; 2<0 3<2; 1<0 2<1 3<2; nothing comes through none
    assert paths.rows([cell]).sum() == 2  # by 3<0, and by 1<0 2<1 3<2
    skips = Paths(CELL, 4).rows([dict.fromkeys(CELL, "skip_connect"), cell, dict.fromkeys(CELL, "none")])
    assert skips.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_several_cells_have_paths_of_their_own_and_other_spaces_none():
    two = SearchSpace(Choice(f"{cell}{edge}", OPERATIONS) for cell in ("normal ", "reduce ") for edge in CELL)
    assert Paths(two).width == 2 * 100 and len(Paths(two).groups) == 8
    assert edges_of(CHAIN) == []
    with pytest.raises(InputError, match="paths are of cells"):
        Paths(CHAIN)


def test_edges_follow_those_that_end_where_they_begin_and_choices_those_that_switch_them_on():
    after = {name: [other for other, yes in zip(CELL, row, strict=True) if yes] for name, row in zip(CELL, following(CELL), strict=True)}
    assert after == {"1<0": [], "2<0": [], "2<1": ["1<0"], "3<0": [], "3<1": ["1<0"], "3<2": ["2<0", "2<1"]}
    assert following(CHAIN) == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
