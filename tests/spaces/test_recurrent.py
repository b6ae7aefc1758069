"""Numbers from https://github.com/quark0/darts/tree/master/rnn, run on the same values."""

from __future__ import annotations

import copy
import math
from random import Random

import pytest
import torch
from torch import Tensor, nn

from oracles import assert_signature, cosines, fractions, inputs, sines
from supernet import relaxations
from supernet.costs.count import params
from supernet.derive import derive
from supernet.errors import InputError
from supernet.genotype import ACTIVATIONS, RecurrentGenotype
from supernet.layers.base import Supernet, searchable
from supernet.mixture import Mix, Mixture, one_hot
from supernet.naming.lookup import design
from supernet.spaces import lstm, recurrent
from supernet.spaces import space as space_named
from supernet.spaces.recurrent_network import FixedCell, Recurrence, StateNorm, token_macs
from supernet.strategies.rules import strongest

EDGES = [f"{i}<{j}" for i in range(1, 9) for j in range(i)]
NO_DROPOUT = dict.fromkeys(("input_dropout", "cell_input_dropout", "hidden_dropout", "output_dropout"), 0.0)
X, H = inputs(1, 3, 6), inputs(3, 6, salt=1)


def fill(module: nn.Module) -> nn.Module:
    """The rule of ``oracles.fill`` for matrices that the official code stores as (in, out)."""
    module = module.double()
    for name, p in module.named_parameters():
        turned = "first" in name or "matrices" in name
        v = 2 * fractions(p.numel(), float(p.numel())) - 1
        rows = p.shape[1] if turned else p.shape[0]
        v = 0.1 * v if p.dim() == 1 else (math.sqrt(3 * rows / p.numel()) * v).view(rows, -1)
        p.data.copy_(v.t() if turned else v)
    return module


def blend(net: Supernet, table: Tensor) -> tuple[dict[str, Tensor], Mixture]:
    """Softmax blends of the rows of ``table``, edge by edge."""
    logits = {name: row.clone().requires_grad_() for name, row in zip(EDGES, table, strict=True)}
    rng = torch.Generator()
    nodes = {n: relaxations.everything(torch.zeros(len(c.options)), rng) for n, c in net.space.items() if n not in logits}
    mixture = {**nodes, **{n: relaxations.softmax(row, rng) for n, row in logits.items()}}
    return logits, mixture


def search_cell() -> Supernet:
    net = Supernet(recurrent.SearchCell(Recurrence(6, 6, 8, range(1, 9), norms=[StateNorm(6, False)]), ACTIVATIONS))
    fill(net)
    return net


def small(**settings: object) -> Supernet:
    torch.manual_seed(0)
    return recurrent.supernet(**{"tokens": 11, "hidden": 6, **NO_DROPOUT, **settings})  # type: ignore[arg-type]


EVALUATION = {
    "darts-rnn-v2": {"sum": 2.66182322, "abs": 2.683628888, "sq": 0.5457876407, "wsum": 2.649162814},
    "enas-rnn": {"sum": 0.36797424, "abs": 0.9491349533, "sq": 0.07254132478, "wsum": 0.3666115162},
}
FIRST = {
    "darts-rnn-v2": [0.2124172786, 0.2494449584, 0.02402947492, 0.2722873277, 0.1994166374, 0.1990233156],
    "enas-rnn": [0.03502801192, 0.09799100254, -0.04652002593, 0.1270472161, 0.05311871107, 0.09630959488],
}


@pytest.mark.parametrize("name", EVALUATION)
def test_published_cell_steps_as_in_the_official_code(name: str) -> None:
    genotype = design(name).plan
    cell = FixedCell(Recurrence(6, 6, len(genotype.recurrent), genotype.concat), genotype)
    fill(cell)
    outputs, hidden = cell(X, H)
    assert torch.equal(outputs[0], hidden)
    assert_signature(hidden, EVALUATION[name])
    assert hidden[0].tolist() == pytest.approx(FIRST[name], rel=2e-9)


def test_search_cell_steps_as_in_the_official_code_with_batch_statistics() -> None:
    net = search_cell()
    _, mixture = blend(net, sines(36, 5))
    out = net(mixture, X, H)[1]
    assert_signature(out, {"sum": 0.0, "abs": 16.38327261, "sq": 17.92816696, "wsum": 0.01103735837, "last": -0.9051102388})
    net(mixture, X, H)
    norm = net.model.recurrence.norms[0]
    assert int(norm.num_batches_tracked) == 18  # nine uses in each of two steps
    mean = [0.20667174, -0.26463078, -0.039267615, 0.24769457, 0.31311085, 0.084477839]
    assert norm.running_mean.tolist() == pytest.approx(mean, rel=1e-7)


def test_search_cell_steps_as_in_the_official_code_with_fresh_running_statistics() -> None:
    net = search_cell().eval()
    out = net(blend(net, sines(36, 5))[1], X, H)[1]
    assert_signature(out, {"sum": 12.93280165, "abs": 16.98629846, "sq": 22.94076208, "wsum": 12.87375315, "last": 0.851145342})


def test_genotype_is_derived_as_in_the_official_code() -> None:
    net = small()
    found = {}
    for name, table in (("sines", sines(36, 5)), ("cosines", cosines(36, 5)), ("ties", torch.zeros(36, 5))):
        belief = {n: row.softmax(-1).tolist() for n, row in zip(EDGES, table, strict=True)}
        found[name] = recurrent.to_genotype(strongest(net.space, belief)).recurrent
    assert found["ties"] == (("tanh", 0),) * 8
    assert [f"{a} {j}" for a, j in found["sines"]] == (
        ["tanh 0", "sigmoid 1", "identity 0", "identity 2", "identity 3", "identity 3", "identity 6", "identity 4"]
    )
    assert [f"{a} {j}" for a, j in found["cosines"]] == (
        ["identity 0", "relu 1", "identity 1", "identity 3", "identity 4", "identity 4", "identity 3", "identity 1"]
    )


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [
        ("darts-rnn-v1", {}, 22_960_000),
        ("darts-rnn-v2", {}, 22_960_000),
        ("darts-rnn-v1", recurrent.WIKITEXT, 33_127_878),
        ("darts-rnn-v2", recurrent.WIKITEXT, 33_127_878),
        ("enas-rnn", {}, 27_295_000),
    ],
)
def test_published_networks_have_the_official_parameters(name: str, sizes: dict[str, int], expected: int) -> None:
    with torch.device("meta"):
        network = recurrent.network(design(name).plan, **sizes)
    assert params(network) == expected
    looked_up = network.encoder.weight.numel() + network.decoder.bias.numel()
    assert token_macs(network) == expected - looked_up + network.decoder.weight.numel()


@pytest.mark.parametrize(("tokens", "expected"), [(10_000, 4_810_000), (33_278, 11_816_678)])
def test_supernet_has_the_official_parameters(tokens: int, expected: int) -> None:
    with torch.device("meta"):
        net = recurrent.supernet(tokens=tokens)
    assert params(net) == expected
    assert sum(len(c.options) for c in net.space.values() if c.pick is None) == 36 * 5
    assert net.space.size() == math.factorial(8) * 4**8


def test_every_weight_starts_within_a_twenty_fifth_and_the_bias_at_zero() -> None:
    network = recurrent.network(design("darts-rnn-v2").plan, tokens=50, hidden=20)
    assert network.decoder.weight is network.encoder.weight
    assert not network.decoder.bias.any()
    for name, p in network.named_parameters():
        assert p.abs().max() <= 0.04, name
        if "bias" not in name:
            assert p.abs().max() > 0.039, name


@pytest.mark.parametrize("shared_norm", [True, False])
def test_derived_network_equals_supernet_under_one_hot(shared_norm: bool) -> None:
    net, rng = small(shared_norm=shared_norm).double(), Random(1)
    tokens, hidden = torch.randint(0, 11, (5, 4)), torch.randn(4, 6, dtype=torch.float64)
    for _ in range(3):
        net(one_hot(net.space, net.space.sample(rng)), tokens)  # running statistics of some use
    net.eval()
    for _ in range(5):
        arch = net.space.sample(rng)
        plain = derive(net, arch, tokens)
        assert not searchable(plain)
        assert torch.equal(plain(tokens, hidden).logits, net(one_hot(net.space, arch), tokens, hidden).logits)
        assert plain.decoder.weight is plain.encoder.weight
    assert len(net.model.cell.recurrence.norms) == (1 if shared_norm else 9)


def plain_cell(net: Supernet, mixture: Mixture, x: Tensor, hidden: Tensor) -> Tensor:
    """The blended cell written edge by edge: one step without dropout."""
    cell = net.model.recurrence
    functions = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda h: h}
    gate, candidate = cell.first(torch.cat([x, hidden], 1)).chunk(2, 1)
    states = [cell.norms[0](hidden + gate.sigmoid() * (candidate.tanh() - hidden))]
    for i in range(1, 9):
        total = torch.zeros_like(hidden)
        for j in range(i):
            if j not in mixture[str(i)].runs:
                continue
            gate, candidate = cell.matrices[i - 1](states[j]).chunk(2, 1)
            mix = mixture[f"{i}<{j}"]
            for k in mix.runs:
                if ACTIVATIONS[k] != "none":
                    passed = states[j] + gate.sigmoid() * (functions[ACTIVATIONS[k]](candidate) - states[j])
                    total = total + mixture[str(i)].weight(j) * mix.weight(k) * passed
        states.append(cell.norms[0](total))
    return torch.stack(states[1:]).mean(0)


def some_mixtures(net: Supernet) -> dict[str, Mixture]:
    rng = torch.Generator().manual_seed(0)
    hard = {n: relaxations.hard_gumbel(torch.zeros(len(c.options)).double(), rng, 1.0) for n, c in net.space.items()}
    everything = {n: relaxations.everything(torch.zeros(len(c.options)), rng) for n, c in net.space.items()}
    soft = {n: relaxations.softmax(torch.randn(len(c.options), generator=rng).double(), rng) for n, c in net.space.items()}
    return {
        "soft on inputs too": soft,
        "hard operations on every input": {n: hard[n] if "<" in n else everything[n] for n in net.space},
        "hard everywhere": hard,
        "two operations": {n: Mix(None, (1, 2)) if "<" in n else everything[n] for n in net.space},
        "one-hot": one_hot(net.space, net.space.sample(Random(3))),
    }


def test_edges_computed_together_give_what_they_give_one_by_one() -> None:
    net = search_cell()
    for name, mixture in some_mixtures(net).items():
        assert torch.allclose(net(mixture, X, H)[1], plain_cell(net, mixture, X[0], H), atol=1e-12), name


def test_a_hard_blend_computes_one_activation_an_edge() -> None:
    net = search_cell()
    mixture = some_mixtures(net)["hard operations on every input"]
    with net.blending(mixture):
        plan = net.model.plan(X)
    taken = {n: ACTIVATIONS[m.runs[0]] for n, m in mixture.items() if "<" in n}
    ran = {f"{i}<{j}": g.activations for j, groups in enumerate(plan) for g in groups for i in g.targets}
    assert ran == {n: (a,) for n, a in taken.items() if a != "none"}


def test_a_sequence_is_its_steps_one_after_the_other() -> None:
    net = small().double().eval()
    mixture = one_hot(net.space, net.space.sample(Random(0)))
    tokens = torch.randint(0, 11, (6, 3))
    whole, hidden, logits = net(mixture, tokens), None, []
    for step in tokens.split(2):
        reading = net(mixture, step, hidden)
        hidden, logits = reading.hidden, [*logits, reading.logits]
    assert torch.allclose(torch.cat(logits), whole.logits, atol=1e-12)
    assert torch.allclose(hidden, whole.hidden, atol=1e-12)


def test_dropout_keeps_one_mask_for_all_steps_and_words() -> None:
    torch.manual_seed(0)
    genotype = design("darts-rnn-v1").plan
    network = recurrent.network(genotype, tokens=30, hidden=40, embedding_dropout=0.0, output_dropout=0.5)
    reading = network(torch.randint(0, 30, (7, 5)))
    dropped = reading.dropped == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0.3 < dropped.float().mean() < 0.7
    kept = ~dropped
    assert torch.allclose(reading.dropped[kept], 2 * reading.outputs[kept])
    words = recurrent.network(genotype, tokens=30, hidden=40, embedding_dropout=0.9, **NO_DROPOUT)
    alike = words(torch.arange(30).repeat(2, 1).t().reshape(1, 60)).outputs[0].view(30, 2, 40)  # every word twice
    assert torch.equal(alike[:, 0], alike[:, 1])
    assert 20 < (alike[:, 0] == 0).all(1).sum() < 30  # a dropped word is nothing at all
    network.eval()
    again = network(torch.zeros(3, 2, dtype=torch.long))
    assert torch.equal(again.dropped, again.outputs)


def test_hidden_dropout_and_input_dropout_change_the_states_in_training_only() -> None:
    tokens = torch.randint(0, 11, (4, 3))
    genotype = design("darts-rnn-v2").plan
    for name in ("embedding_dropout", "input_dropout", "cell_input_dropout", "hidden_dropout"):
        torch.manual_seed(0)
        network = recurrent.network(genotype, tokens=11, hidden=16, **{"embedding_dropout": 0.0, **NO_DROPOUT, name: 0.5})
        one, other = network(tokens).outputs, network(tokens).outputs
        assert not torch.equal(one, other), name
        network.eval()
        assert torch.equal(network(tokens).outputs, network(tokens).outputs)


def test_architecture_and_notation_say_the_same() -> None:
    space, rng = small().space, Random(0)
    for _ in range(5):
        arch = space.sample(rng)
        genotype = recurrent.parse(recurrent.notation(arch))
        assert recurrent.to_architecture(genotype) == space.matters(arch)
    with pytest.raises(InputError, match="does not average all of its nodes"):
        recurrent.to_architecture(design("enas-rnn").plan)
    with pytest.raises(InputError, match="does not decide 2<1"):
        recurrent.to_genotype({"1": (0,), "1<0": "tanh", "2": (1,)})


def test_recurrent_genotype_reads_what_it_writes_and_refuses_the_rest() -> None:
    for name in recurrent.DARTS_RNN.published:
        genotype = design(name).plan
        assert RecurrentGenotype.parse(str(genotype)) == genotype
    for text, says in {
        "Genotype(recurrent=[('tanh', 1)], concat=[1])": "node 1 reads state 1",
        "Genotype(recurrent=[('tan', 0)], concat=[1])": "did you mean 'tanh'",
        "Genotype(recurrent=[('none', 0)], concat=[1])": "unknown activation 'none'",
        "Genotype(recurrent=[('tanh', 0)], concat=[2])": "concat lists state 2",
        "Genotype(recurrent=[('tanh', 0)], concat=[])": "at least one node",
        "Genotype(recurrent=[('tanh', 0, 1)], concat=[1])": "is not an activation's name",
        "Genotype(recurrent=[('tanh', 0)])": "lacks concat",
        "Genotype(normal=[], normal_concat=[])": "unknown field",
        "Genotype(recurrent=__import__('os'), concat=[1])": "neither a list",
    }.items():
        with pytest.raises(InputError, match=says):
            RecurrentGenotype.parse(text)
    with pytest.raises(InputError, match="did you mean 'darts-rnn-v1'"):
        design("darts-rnn-v11")


def test_a_mistaken_size_is_refused_in_one_line() -> None:
    for settings, says in (
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"embedding": 5}, "tied weights need an embedding of the size"),
        ({"hidden_dropout": 1.0}, "hidden_dropout must be at least 0 and below 1"),
        ({"activations": ["none"]}, "besides none"),
        ({"activations": ["tanh", "sine"]}, "unknown activation 'sine'"),
    ):
        with pytest.raises(InputError, match=says):
            small(**settings)  # type: ignore[arg-type]
    net = small(embedding=5, tied=False)
    assert net(one_hot(net.space, net.space.sample(Random(0))), torch.zeros(2, 3).long()).logits.shape == (2, 3, 11)


def test_batch_statistics_make_evaluation_equal_to_training_without_dropout() -> None:
    for batch_statistics in (True, False):
        net = small(batch_statistics=batch_statistics)
        mixture, tokens = one_hot(net.space, net.space.sample(Random(0))), torch.arange(15).view(5, 3) % 11
        training, evaluating = net(mixture, tokens).logits, net.eval()(mixture, tokens).logits
        assert torch.equal(training, evaluating) is batch_statistics


def test_fewer_activations_make_a_smaller_space() -> None:
    net = small(activations=["tanh", "relu"], nodes=3)
    assert net.space.size() == math.factorial(3) * 2**3
    narrowed = copy.deepcopy(small()).restrict({"1<0": ["tanh", "relu"]})
    assert narrowed.space["1<0"].options == ("tanh", "relu")
    narrowed(one_hot(narrowed.space, narrowed.space.sample(Random(0))), torch.zeros(2, 3).long())


@pytest.mark.parametrize(("tokens", "hidden"), [(10_000, 850), (33_278, 700), (10_000, 128), (2_000, 96)])
def test_lstm_baseline_has_as_many_parameters_within_a_hundredth(tokens: int, hidden: int) -> None:
    with torch.device("meta"):
        cell = recurrent.network(design("darts-rnn-v2").plan, tokens=tokens, hidden=hidden)
        baseline = lstm.of_equal_size(params(cell), tokens=tokens)
    assert params(baseline) == lstm.size(baseline.cell.hidden, tokens)
    assert params(baseline) == pytest.approx(params(cell), rel=0.01)


def test_lstm_equals_torch_lstm() -> None:
    cell = lstm.LSTM(5, 7, 0.0, 0.0).double()
    cell.reset_parameters()
    other = nn.LSTM(5, 7).double()
    order = torch.cat([torch.arange(0, 14), torch.arange(21, 28), torch.arange(14, 21)])  # torch has the candidate before the output gate
    with torch.no_grad():
        for mine, theirs in ((cell.by_input.weight, other.weight_ih_l0), (cell.by_hidden.weight, other.weight_hh_l0)):
            theirs.copy_(mine[order])
        other.bias_ih_l0.copy_(cell.by_input.bias[order])
        other.bias_hh_l0.zero_()
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    outputs, (hidden, memory) = cell(x)
    expected, (h, c) = other(x)
    assert torch.allclose(outputs, expected) and torch.allclose(hidden, h[0]) and torch.allclose(memory, c[0])
    with pytest.raises(InputError, match="as few as 5 parameters"):
        lstm.of_equal_size(5, tokens=10)


def test_the_hidden_state_of_another_network_is_refused() -> None:
    genotype, tokens = design("darts-rnn-v2").plan, torch.zeros(2, 3, dtype=torch.long)
    cell, baseline = recurrent.network(genotype, tokens=11, hidden=6), lstm.network(tokens=11, hidden=5)
    for network, other in ((cell, baseline), (baseline, cell), (cell, recurrent.network(genotype, tokens=11, hidden=7))):
        with pytest.raises(InputError, match="give each network a new task"):
            network(tokens, other(tokens).hidden)


def test_the_space_is_known_by_name() -> None:
    assert space_named("darts-rnn") is recurrent.DARTS_RNN
