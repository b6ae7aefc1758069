from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from supernet import derive
from supernet.costs.count import params
from supernet.errors import InputError
from supernet.mixture import Mix, one_hot
from supernet.naming.lookup import design
from supernet.spaces import enas_recurrent

ALL_ZERO = "enas-rnn: " + " ".join("0 0" for _ in range(9))


def test_sizes_are_those_of_the_official_code() -> None:
    """All children have 16,560,000 parameters and each has 2,880,000: enas_lm/src/child.py, hidden size 200, 10,000 words."""
    with torch.device("meta"):
        net, child = enas_recurrent.supernet(), enas_recurrent.network(ALL_ZERO, hidden=200)
    assert params(net) == 16_560_000 and params(child) == 2_880_000
    assert len(net.space) == 18 and net.space.size() == 362_880 * 4**9


def test_evaluation_network_has_the_size_of_its_matrices() -> None:
    assert design(ALL_ZERO).describe()["params"] == 10_000 * 800 + 1600 * 1600 + 9 * 800 * 1600


@pytest.mark.usefixtures("double")
def test_derived_cell_equals_the_supernet_and_has_the_matrices_that_were_chosen() -> None:
    torch.manual_seed(0)
    net, x = enas_recurrent.supernet(tokens=12, hidden=5, nodes=4).eval(), torch.randint(12, (3, 2))
    for seed in range(3):
        architecture = net.space.sample(Random(seed))
        plain = derive(net, architecture, x)
        assert (plain(x).logits - net(one_hot(net.space, architecture), x).logits).abs().max() < 1e-12
        assert params(plain) == 12 * 5 + 10 * 10 + 4 * 5 * 10
        own = net.model.cell.recurrence.matrix(2, str(architecture["2.f"]), int(architecture["2"][0]))  # type: ignore[index]
        assert torch.equal(plain.cell.recurrence.matrices[1].weight, own.weight)


@pytest.mark.usefixtures("double")
def test_a_blend_of_activations_of_the_last_node_is_the_blend_of_what_they_give() -> None:
    torch.manual_seed(0)
    net, x = enas_recurrent.supernet(tokens=12, hidden=5, nodes=1).eval(), torch.randint(12, (1, 2))
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4])
    alone = [net({"1": Mix(None, (0,)), "1.f": Mix(None, (k,))}, x).outputs for k in range(4)]
    blend = net({"1": Mix(None, (0,)), "1.f": Mix(shares, (0, 1, 2, 3))}, x).outputs
    assert torch.allclose(blend, sum(w * out for w, out in zip(shares, alone, strict=True)))


def test_decoder_has_the_matrix_of_the_embedding_and_no_bias() -> None:
    network = enas_recurrent.network(ALL_ZERO, tokens=12, hidden=5)
    assert network.decoder.weight is network.encoder.weight and isinstance(network.decoder, nn.Linear) and network.decoder.bias is None


def test_notation_is_the_official_numbers_state_first() -> None:
    assert enas_recurrent.parse("enas-rnn: 0 0 1 3").recurrent == (("tanh", 0), ("identity", 1))
    for text in ("enas-rnn: 0 0 1", "enas-rnn: 0 4", "enas-rnn:"):
        with pytest.raises(InputError, match="expected of each node a state and an activation, 0 to 3"):
            enas_recurrent.parse(text)
    with pytest.raises(InputError, match="node 1 reads state 1"):
        enas_recurrent.parse("enas-rnn: 1 0")
