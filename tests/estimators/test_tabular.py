import collections
import itertools
import sys

import numpy as np
import pytest

from supernet.errors import InputError
from supernet.estimators.tabular import Table
from supernet.estimators.tabular_csv import from_csv
from supernet.space import Choice, SearchSpace

OPS = ("none", "skip", "conv")
EDGES = [(0, 1), (0, 2), (1, 2)]


def cells(rows=None, **changes):
    """A table laid out as NAS-Bench-201's, of 3 edges and 3 operations, its rows in no order."""
    ops = np.array(list(itertools.product(range(3), repeat=3)), np.uint8)
    np.random.default_rng(0).shuffle(ops)
    worth = ops.astype(np.float32) @ np.array([1, 10, 100], np.float32)  # says which operations were taken
    two = np.stack([worth, worth + 0.5], 1)
    arrays = {"ops": ops, "op_names": np.array(OPS), "edges": np.array(EDGES, np.uint8), "datasets": np.array(["cifar10", "cifar100"])}
    arrays |= {"val12": two + 1000, "val200_v11": two, "test200_nats": two + 3000, "test200_v11": two + 2000}
    arrays |= {"params": ops.sum(1, dtype=np.int64)[:, None] + [[100, 200]], "flops": ops.sum(1, dtype=np.int64) * 10}
    arrays |= {"arch_str": np.array(["text"] * len(ops))}
    return {name: array for name, array in (arrays | changes).items() if array is not None}


def chain(**changes):
    """A table laid out as NAS-Bench-Macro's: no validation column, three seeds of a test accuracy."""
    ops = np.array(list(itertools.product(range(3), repeat=2)), np.uint8)
    accuracy = np.arange(9)[:, None] + np.array([[0.0, 0.25, 0.75]])
    return {"ops": ops, "op_names": np.array(["Identity", "MB3_K3", "MB6_K5"]), "test_acc": accuracy} | changes


def timed(**changes):
    """``chain`` with the milliseconds of two devices."""
    times = np.stack([np.arange(9.0) + 1, 100 - np.arange(9.0)], 1)
    return chain(latency_ms=times, devices=np.array(["phone", "board"])) | changes


ARCHITECTURE = {"1<0": "conv", "2<0": "none", "2<1": "skip"}  # 2, 0, 1 -> 102


def save(path, arrays):
    np.savez(path, **arrays)
    return path


def test_searches_on_validation_and_reports_test_of_the_architecture_asked_for(tmp_path):
    table = Table.read(save(tmp_path / "table.npz", cells()))
    assert table.estimate(ARCHITECTURE) == {"validation": 102.0}
    assert table.report(ARCHITECTURE) == {"test": 2102.0, "params": 103, "macs": 30}
    assert table.costs(ARCHITECTURE) == {"params": 103, "macs": 30}
    assert (table.search_column, table.report_column, table.note) == ("val200_v11", "test200_v11", None)


def test_every_row_is_found_by_its_own_architecture():
    arrays, table = cells(), Table(cells())
    for i, row in enumerate(arrays["ops"]):
        architecture = {f"{to}<{source}": OPS[op] for (source, to), op in zip(EDGES, row, strict=True)}
        assert table.estimate(architecture)["validation"] == arrays["val200_v11"][i, 0]


def test_other_columns_and_data_sets_can_be_asked_for():
    table = Table(cells(), search="val12", report="test200_nats", dataset="cifar100")
    assert table.estimate(ARCHITECTURE) == {"validation": 1102.5}
    assert table.report(ARCHITECTURE) == {"test": 3102.5, "params": 203, "macs": 30}


def test_shorter_trainings_answer_for_shares_of_a_whole_one_by_the_nearest_that_costs_no_more():
    table = Table(cells(val36=cells()["val12"] + 1), cheaper={"val36": 0.18, "val12": 0.06})
    asked = (1.0, 0.9, 0.18, 0.17, 0.06)
    assert [table.estimate(ARCHITECTURE, share)["validation"] for share in asked] == [102.0, 1103.0, 1103.0, 1102.0, 1102.0]
    assert table.shares == (0.06, 0.18)
    with pytest.raises(InputError, match=r"no cheaper answer than 0.06 of a training, so none for 0.05"):
        table.estimate(ARCHITECTURE, 0.05)


def test_the_12_epochs_of_nasbench201_are_known_and_no_other_table_has_shares_by_itself():
    assert Table(cells()).shares == (12 / 200,)
    assert Table(cells(), cheaper={}).shares == Table(cells(), search="test200_v11").shares == Table(cells(val12=None)).shares == ()


@pytest.mark.parametrize(
    ("cheaper", "message"),
    [
        ({"val200_v11": 0.5}, "another than 'val200_v11'"),
        ({"val12": 1.0}, "costs between 0 and 1 of it: val12, 1.0"),
        ({"val12": 0.1, "test200_nats": 0.1}, "cost the same share"),
        ({"val36": 0.1}, "no column 'val36'"),
    ],
)
def test_cheaper_columns_that_are_none_are_refused(cheaper, message):
    with pytest.raises(InputError, match=message):
        Table(cells(), cheaper=cheaper)


def test_the_first_data_set_is_taken_where_there_is_no_cifar10():
    table = Table(cells(datasets=np.array(["mnist", "svhn"])))
    assert table.estimate(ARCHITECTURE) == {"validation": 102.0}


def test_space_of_the_table_names_choices_by_edge_by_name_or_by_number():
    assert list(Table(cells()).space()) == ["1<0", "2<0", "2<1"]
    assert list(Table(cells(choices=np.array(["x", "y", "z"]))).space()) == ["x", "y", "z"]
    space = Table(cells(edges=None)).space()
    assert list(space) == ["0", "1", "2"] and space["0"].options == OPS and space.size() == 27


def test_a_choice_has_only_the_options_that_occur_in_its_column():
    ops = np.array([[0, 2], [0, 1], [2, 2], [2, 1]])
    table = Table({"ops": ops, "op_names": np.array(OPS), "validation": np.arange(4.0)})
    assert [choice.options for choice in table.space().values()] == [("none", "conv"), ("skip", "conv")]
    assert table.estimate({"0": "conv", "1": "skip"}) == {"validation": 3.0}


def test_without_validation_the_first_seed_is_searched_and_the_others_reported():
    table = Table(chain())
    assert table.estimate({"0": "MB6_K5", "1": "MB3_K3"}) == {"validation": 7.0}
    assert table.report({"0": "MB6_K5", "1": "MB3_K3"}) == {"test": 7.5}
    assert table.note == "searched on the first seed of 'test_acc', reported by the mean of its other 2"


def test_seeds_are_averaged_where_validation_and_test_are_apart():
    table = Table(chain(val_acc=np.arange(9)[:, None] + np.array([[1.0, 2.0]])))
    assert table.estimate({"0": "Identity", "1": "Identity"}) == {"validation": 1.5}
    assert table.report({"0": "Identity", "1": "Identity"})["test"] == pytest.approx(1 / 3)


def test_one_column_is_searched_and_reported_and_the_note_says_so():
    arrays = {"ops": np.array([[0], [1]]), "op_names": np.array(["a", "b"]), "accuracy": np.array([0.5, 0.75]), "params": np.array([1, 2])}
    table = Table(arrays)
    assert table.estimate({"0": "b"}) == {"validation": 0.75} and table.report({"0": "b"}) == {"test": 0.75, "params": 2}
    assert table.note == "searched on and reported by the same column, 'accuracy'"


def test_options_that_are_named_otherwise_are_matched_by_order():
    space = SearchSpace(Choice(f"layer.{i}", ("id", "mb3_k3", "mb6_k5")) for i in range(2))
    table = Table(chain(), space=space)
    assert table.space() is space
    assert table.estimate({"layer.0": "mb6_k5", "layer.1": "mb3_k3"}) == {"validation": 7.0}


def test_a_space_with_fewer_options_in_another_order_is_matched_by_name():
    space = SearchSpace(Choice(name, ("conv", "none")) for name in ("2<1", "1<0", "2<0"))
    table = Table(cells(), space=space)
    assert table.estimate({"1<0": "conv", "2<0": "none", "2<1": "conv"}) == {"validation": 202.0}


def test_options_without_names_are_numbers_which_are_widths_where_there_are_base_channels():
    arrays = chain() | {"ops": chain()["ops"] + 1}
    del arrays["op_names"]
    numbered, widths = Table(arrays), Table({**arrays, "base_channels": np.array([64, 128])})
    assert [choice.options for choice in numbered.space().values()] == [(1, 2, 3), (1, 2, 3)]
    assert [choice.options for choice in widths.space().values()] == [(64, 128, 192), (128, 256, 384)]
    assert numbered.estimate({"0": 3, "1": 2}) == widths.estimate({"0": 192, "1": 256}) == {"validation": 7.0}
    shares = Table(arrays, space=SearchSpace(Choice(f"layer.{i}", (0.25, 0.5, 1.0)) for i in range(2)))
    assert shares.estimate({"layer.0": 1.0, "layer.1": 0.5}) == {"validation": 7.0}


def test_latencies_of_one_device_are_a_cost_and_those_of_several_only_where_one_is_chosen():
    there = {"0": "MB6_K5", "1": "MB3_K3"}
    for device, ms in (("phone", 8.0), ("board", 93.0)):
        assert Table(timed(), device=device).costs(there) == {"latency": ms}
    assert Table(chain(latency_ms=np.arange(9.0))).costs(there) == {"latency": 7.0} and Table(timed()).priced == ()


def test_further_columns_of_the_same_rows_come_from_another_file(tmp_path):
    table, own = save(tmp_path / "table.npz", chain()), {name: timed()[name] for name in ("latency_ms", "devices")}
    read = Table.read(table, latency=save(tmp_path / "more.npz", {**own, "val_more": -np.arange(9.0)}), device="phone")
    assert read.report({"0": "MB6_K5", "1": "MB3_K3"}) == {"test": pytest.approx(22 / 3), "latency": 8.0}
    assert read.search_column == "val_more"
    assert read.check({"latency": 1.5}) == {"0": "Identity", "1": "Identity"}
    for arrays, message in (
        (own, "latencies of several devices: give table.device, one of phone, board"),
        ({"latency_ms": np.ones(8)}, r"'latency_ms' has the shape \(8,\); it needs a row for each of the table's 9"),
        ({"test_acc": np.ones(9)}, "the table has a column 'test_acc' itself"),
        ({"ops": chain()["ops"][::-1], "latency_ms": np.ones(9)}, "its 'ops' are not those of the table, row by row"),
        ({"devices": own["devices"]}, "has no columns; it has: devices"),
    ):
        with pytest.raises(InputError, match=message):
            Table.read(table, latency=save(tmp_path / "other.npz", arrays))


def test_an_architecture_that_is_not_of_the_space_is_refused():
    table = Table(cells())
    with pytest.raises(InputError, match="cannot take 'pool'"):
        table.estimate({**ARCHITECTURE, "1<0": "pool"})
    with pytest.raises(InputError, match="not decided: 2<1"):
        table.report({"1<0": "conv", "2<0": "none"})


@pytest.mark.parametrize(
    ("arrays", "arguments", "message"),
    [
        (cells(ops=None), {}, "no array 'ops'; it has: op_names, edges"),
        (cells(base_channels=np.array([8]), op_names=None), {}, "'base_channels' must be a whole number above 0 for each of the 3 columns"),
        (timed(), {"device": "watch"}, "no device 'watch'; it has: phone, board"),
        (timed(latency_ms=np.zeros((9, 3))), {"device": "phone"}, r"the shape \(9, 3\); it must be \(9, 2\)"),
        (chain(latency_ms=np.ones(9)), {"device": "phone"}, "no latencies by device"),
        (cells(), {"search": "val201"}, "no column 'val201'; it has: val12, val200_v11, test200_nats, test200_v11, params, flops"),
        (cells(), {"report": "arch_str"}, "no column 'arch_str'"),
        (cells(), {"dataset": "svhn"}, "no data set 'svhn'; it has: cifar10, cifar100"),
        (chain(), {"dataset": "cifar10"}, "no 'datasets', so no data set 'cifar10'"),
        (chain(test_acc=np.zeros(8)), {}, r"column 'test_acc' has the shape \(8,\); its first axes must be \(9,\)"),
        (cells(val200_v11=np.zeros((27, 3))), {}, r"'val200_v11' has the shape \(27, 3\); its first axes must be \(27, 2\)"),
        (chain(ops=np.array([[0, 0], [0, 1], [0, 0]])), {}, "rows 0 and 2 of the table are the same architecture"),
        (chain(ops=np.array([[0, 0], [0, 1], [1, 0]])), {}, "3 rows for 4 combinations"),
        (chain(ops=np.array([[0, 3]])), {}, "from 0 to 2"),
        (chain(ops=np.array([[0.5, 1.0]])), {}, "must be integers"),
        (chain(ops=np.array([0, 1])), {}, r"shape \(2,\)"),
        (chain(choices=np.array(["a"])), {}, "names 1 choices for the 2 columns"),
        ({"ops": np.array([[0]]), "op_names": np.array(["a"]), "params": np.array([3])}, {}, "no column of scores"),
        (chain(), {"space": SearchSpace([Choice("0", ("a", "b", "c"))])}, "the space has 1 choices, the table 2"),
        (chain(), {"space": SearchSpace(Choice(n, ("a", "b")) for n in "01")}, "choice '0' of the space cannot be looked up"),
        (chain(), {"space": SearchSpace(Choice(n, ("a", "b", "c"), (0, 2)) for n in "01")}, "cannot be looked up"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(arrays, arguments, message):
    with pytest.raises(InputError, match=message) as error:
        Table(arrays, **arguments)
    assert "\n" not in str(error.value)


def test_what_is_not_a_table_of_plain_arrays_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("accuracy,params\n")
    np.save(tmp_path / "bare.npy", np.zeros(3))
    save(tmp_path / "objects.npz", {"ops": np.array([{"code": 1}], dtype=object)})
    (tmp_path / "cut.npz").write_bytes(save(tmp_path / "whole.npz", cells()).read_bytes()[:300])
    for name in ("text.npz", "bare.npy", "objects.npz", "cut.npz", "."):
        with pytest.raises(InputError, match=r"not an \.npz file of plain arrays"):
            Table.read(tmp_path / name)
    with pytest.raises(InputError, match="there is no table"):
        Table.read(tmp_path / "missing.npz")


def test_a_table_of_15625_rows_is_read_with_less_than_a_call_a_cell(tmp_path):
    ops = np.array(list(itertools.product(range(5), repeat=6)), np.uint8)
    arrays = {"ops": ops, "op_names": np.array(list("abcde")), "val": np.arange(15625.0), "test": np.arange(15625.0)}
    path = save(tmp_path / "table.npz", arrays)
    calls = collections.Counter()
    sys.setprofile(lambda frame, event, arg: calls.update([event]))
    try:
        table = Table.read(path)
    finally:
        sys.setprofile(None)
    assert calls["call"] + calls["c_call"] < ops.size, calls  # 6 cells a row
    assert table.estimate(dict.fromkeys(table.space(), "e")) == {"validation": 15624.0}


def csv(tmp_path, text):
    (tmp_path / "table.csv").write_text(text)
    from_csv(tmp_path / "table.csv", tmp_path / "table.npz")
    return tmp_path / "table.npz"


CSV = """op_1<0,op_2<0,val@a,val@b,test@a,test@b,params
conv,3,0.5,0.625,0.25,0.375,10
skip,3,1,2,3,4,20
conv,5,5,6,7,8,30
skip,5,9,10,11,12,40
"""


def test_a_csv_file_becomes_a_table(tmp_path):
    table = Table.read(csv(tmp_path, CSV), dataset="b")
    assert {name: choice.options for name, choice in table.space().items()} == {"1<0": ("conv", "skip"), "2<0": ("3", "5")}
    assert table.estimate({"1<0": "conv", "2<0": "3"}) == {"validation": 0.625}
    assert table.report({"1<0": "skip", "2<0": "5"}) == {"test": 12.0, "params": 40}
    assert type(table.report({"1<0": "skip", "2<0": "5"})["params"]) is int
    kernels = SearchSpace([Choice("1<0", ("skip", "conv")), Choice("2<0", (3, 5))])
    assert Table.read(tmp_path / "table.npz", space=kernels).estimate({"1<0": "conv", "2<0": 5}) == {"validation": 5.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line below"),
        ("op_0,acc\n", "no line below"),
        ("a,acc\n1,2\n", "needs columns op_0, op_1"),
        ("op_0,op_1\n1,2\n", "at least one of numbers"),
        ("op_0,acc,acc\nx,2,3\n", "two columns 'acc'"),
        ("op_0,acc\nx,2\ny\n", "line 3 of .* has 1 entries for 2 columns"),
        ("op_0,acc\nx,2\ny,good\n", "line 3 of .*: 'good' in column 'acc' is not a number"),
        ("op_0,v@a,v@b,t@a\nx,1,2,3\n", "no column 't@b', though 't' is given"),
    ],
)
def test_a_csv_file_that_is_no_table_is_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        csv(tmp_path, text)
    assert not (tmp_path / "table.npz").exists()


def test_a_csv_file_that_is_missing_or_binary_is_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    for name in ("missing.csv", "binary.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            from_csv(tmp_path / name, tmp_path / "table.npz")
