from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import InputError
from supernet.genotype import ALL_OPERATIONS, Cell, Genotype, present


def text(normal: str, concat: str = "[2]", reduce: str = "None", reduce_concat: str = "[2]") -> str:
    return f"Genotype(normal={normal}, normal_concat={concat}, reduce={reduce}, reduce_concat={reduce_concat})"


@st.composite
def cells(draw: st.DrawFn, first: int) -> tuple[Cell, tuple[int, ...]]:
    """A cell of any shape, and what it concatenates, from state ``first`` on."""
    count = draw(st.integers(1, 5))
    edge = [st.tuples(st.sampled_from(ALL_OPERATIONS), st.integers(0, i - 1)) for i in range(2, 2 + count)]
    cell = tuple(tuple(draw(st.lists(e, min_size=int(i == 0), max_size=3))) for i, e in enumerate(edge))
    kept = draw(st.sets(st.integers(first, count + 1)))
    last = () if cell[-1] else (count + 1,)
    return cell, tuple(sorted(kept | {2, *last}))


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    normal = draw(cells(0))
    reduce = draw(st.one_of(st.none(), cells(2)))
    return Genotype(*normal, *(reduce or (None, (2, 3, 4, 5))))


@given(genotypes())
def test_a_genotype_reads_back_what_it_writes(genotype: Genotype) -> None:
    assert Genotype.parse(str(genotype)) == genotype


def test_pairs_belong_two_by_two_to_the_nodes() -> None:
    genotype = Genotype.parse(text("[('sep_conv_3x3', 1), ('skip_connect', 0), ('none', 2), ('max_pool_3x3', 2)]", "[2, 3]"))
    assert genotype.normal == ((("sep_conv_3x3", 1), ("skip_connect", 0)), (("none", 2), ("max_pool_3x3", 2)))
    assert genotype.reduce is None


def test_triples_name_their_node_and_may_leave_one_out() -> None:
    genotype = Genotype.parse(text("[('sep_conv_3x3', 2, 0), ('skip_connect', 5, 3), ('dil_conv_5x5', 5, 1)]", "range(2, 6)"))
    assert [len(node) for node in genotype.normal] == [1, 0, 0, 2]
    assert genotype.normal_concat == (2, 3, 4, 5)
    assert present(genotype.normal) == (0, 1, 2, 5)


def test_a_node_fed_by_missing_nodes_only_is_missing_too() -> None:
    assert present(((("none", 0),), (), (("skip_connect", 3),), (("skip_connect", 4), ("none", 2)))) == (0, 1, 2, 5)


def test_ranges_names_and_lines_are_read_as_lists() -> None:
    plain = Genotype.parse(text("[('none', 0), ('none', 1)]"))
    assert Genotype.parse("V1 = " + text("[('none', 0), ('none', 1)]", "range(2, 3)")) == plain
    assert Genotype.parse(text("[\n    ('none', 0),\n    ('none', 1)]\n") + "\n") == plain


CELL = (("sep_conv_3x3", 1), ("skip_connect", 0)), (("sep_conv_3x3", 0), ("skip_connect", 2))
FIELDS = f"normal={CELL}, normal_concat=range(2, 4), reduce=None, reduce_concat=[2, 3]"


@pytest.mark.parametrize(
    "said",
    [
        f"Genotype({FIELDS})",
        f"Genotype({FIELDS.replace('(((', '[[(').replace(')))', ')]]').replace(')), ((', ')], [(')})",
        f"11/26 03:12 PM genotype = Genotype({FIELDS})\n",
        f"2026-11-26 [INFO] epoch 7 (best): genotypes.Genotype({FIELDS}), valid_acc 88.1)\nGenotype({FIELDS})\n",
        f"Genotype({FIELDS.replace(', 1)', ', 1, 0.2)').replace(', 0)', ', 0, 0.125)').replace(', 2)', ', 2, 0.3)', 1)})",
        f"DARTS_V9 = Genotype({FIELDS}, connectN=None, connects=None)",
        f"Genotype({FIELDS.replace(', 1)', ', np.int64(1))')})",
        f"{{'normal': {CELL}, 'normal_concat': [2, 3], 'reduce': None, 'reduce_concat': [2, 3]}}",
    ],
    ids=["tuples", "nested", "log line", "log", "weighted", "further fields", "numpy", "dict"],
)
def test_a_genotype_is_read_as_other_programs_print_it(said: str) -> None:
    assert Genotype.parse(said) == Genotype(CELL, (2, 3), None, (2, 3))


def test_a_log_of_several_genotypes_is_refused_with_the_line_of_the_last() -> None:
    several = f"epoch 1\nGenotype({FIELDS})\nepoch 2\nGenotype({FIELDS.replace('3x3', '5x5')})\n"
    with pytest.raises(InputError, match=r"2 genotypes that differ: .* the last is in line 4"):
        Genotype.parse(several)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("", "not a genotype"),
        ("Genotype(", "not a genotype"),
        ("[('none', 0)]", "not a genotype"),
        ("(" * 500 + ")" * 500, "not a genotype"),
        ("\x00", "not a genotype"),
        ("Genotyp(normal=[])", "not a genotype"),
        ("Genotype(normal=[('none', 0), ('none', 1)], normal_concat=[2])", "lacks reduce, reduce_concat"),
        ("Genotype(normal=[], normal_concat=[2], reduces=None, reduce_concat=[2])", "did you mean 'reduce'"),
        (text("[('sep_conv3x3', 0), ('none', 1)]"), "did you mean 'sep_conv_3x3'"),
        (text("[('none', 0), ('none', 2)]"), "node 2 of normal reads state 2"),
        (text("[('none', 0), ('none', 1), ('none', 0)]"), "3 edges"),
        (text("[('none', 0), ('none', 2, 1)]"), "must all be"),
        (text("[('none', 1, 0)]"), "nodes are numbered from 2"),
        (text("[[('none', 0), ('none', 1)], ('none', 0)]"), "mixes edges with lists of edges"),
        (text("[[('none', 2, 0), ('none', 1)]]"), "of node 2 of normal must be (operation, input)"),
        (text("[[('none', 0), ('none', 2)]]"), "node 2 of normal reads state 2"),
        (text("[('none', f(0)), ('none', 1)]"), "written out"),
        (text("[('none', 0), ('none', 1)]", "[3]"), "has states 0 to 2"),
        (text("[('none', 0), ('none', 1)]", "[2, 2]"), "twice"),
        (text("[('none', 0), ('none', 1)]", "[]"), "keeps nothing"),
        (text("[('none', 2, 0)]", "[3]"), "keeps nothing"),
        (text("[('none', 0), ('none', 1)]", "range(2, 10**9)"), "neither a list nor a number"),
        (text("[('none', 0), ('none', 1)]", "range(2, 1000000000)"), "not a range of states"),
        (text("[('none', 0), ('none', 1)]", "range(2, 6, 0)"), "not a range of states"),
        (text("[('none', 1000000000, 0)]"), "state numbers from 0 to 99"),
        (text("[('none', True), ('none', 1)]"), "state numbers"),
        (text("__import__('os')"), "written out"),
        (text("'abc'"), "list of edges"),
        (text("[('none', 0), ('none', 1)]", reduce="[('none', 0), ('none', 1)]", reduce_concat="[1, 2]"), "an input"),
    ],
)
def test_a_wrong_notation_is_refused_in_one_line(wrong: str, says: str) -> None:
    with pytest.raises(InputError) as refusal:
        Genotype.parse(wrong)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_genotype_made_in_code_is_checked_too() -> None:
    with pytest.raises(InputError, match="leave it out"):
        Genotype(((("none", 0),), ()), (2,), None, (2,))
