from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from supernet.data.streams import Data
from supernet.data.text import END, LEVELS, OTHER, SETS, Text, is_text, load
from supernet.data.text_streams import Chunk, TextStream
from supernet.errors import InputError
from supernet.ranks import Alone
from supernet.settings.sections import TextData

LINES = {"train": " the cat sat \n\n the dog ran \n", "valid": " the cat ran \n", "test": " a <unk> sat \n"}


def layout(folder: Path, pattern: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in LINES.items():
        (folder / pattern.format(part)).write_text(text)
    return folder


def said(text: Text, tokens: torch.Tensor) -> str:
    return " ".join(text.vocabulary[i] for i in tokens)


def test_the_setting_names_every_level_that_a_text_is_read_by() -> None:
    assert get_args(get_args(TextData.model_fields["level"].annotation)[0]) == LEVELS


@pytest.mark.parametrize("pattern", ["ptb.{}.txt", "wiki.{}.tokens", "{}.txt"])
def test_a_folder_is_read_by_word_and_every_line_ends(tmp_path: Path, pattern: str) -> None:
    text = load(layout(tmp_path / "set", pattern))
    assert said(text, text.train) == f"the cat sat {END} {END} the dog ran {END}"
    assert said(text, text.validation) == f"the cat ran {END}"
    assert said(text, text.test) == f"a {OTHER} sat {END}"
    assert text.vocabulary == ("the", "cat", "sat", END, "dog", "ran", "a", OTHER)
    assert text.train.dtype == torch.int64 and text.level == "word" and is_text(tmp_path / "set")
    characters = load(tmp_path / "set", level="character")
    assert "".join(characters.vocabulary[i] for i in characters.train) == LINES["train"]


def test_named_sets_are_looked_for_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout(tmp_path / "ptb", "ptb.{}.txt")
    layout(tmp_path / "wikitext-2", "wiki.{}.tokens")
    monkeypatch.setenv("SUPERNET_DATA", str(tmp_path))
    assert load("ptb").name == "ptb" and len(load("wikitext-2").train) == 9
    monkeypatch.setenv("SUPERNET_DATA", str(tmp_path / "ptb"))
    assert len(load("ptb").train) == 9
    with pytest.raises(InputError, match=r"wikitext-2 is not in .* or data \(looked for wikitext-2.*; get WikiText-2"):
        load("wikitext-2")


def test_the_text_that_comes_with_the_package_needs_nothing() -> None:
    text = load()
    parts = [text.train, text.validation, text.test]
    assert sum(map(len, parts)) == 100_050 and [len(p) for p in parts[1:]] == [10_005, 10_005]
    whole = ["".join(text.vocabulary[i] for i in p) for p in parts]
    assert any("MENENIUS:\n" in part for part in whole)
    assert "100,050 characters" in text.notes[0]
    words = load("shakespeare", level="word")
    assert OTHER in words.vocabulary and len(words.vocabulary) > 1000
    assert set(SETS) == {"shakespeare", "ptb", "wikitext-2"} and all(is_text(name) for name in SETS)


def test_splits_of_one_file_are_contiguous_and_follow_the_seed(tmp_path: Path) -> None:
    whole = "".join(chr(97 + i % 26) + str(i) for i in range(400))
    path = tmp_path / "book.txt"
    path.write_text(whole)
    seen = set()
    for seed in range(8):
        text, again = load(path, seed=seed, held_out=(0.2, 0.1)), load(path, seed=seed, held_out=(0.2, 0.1))
        pieces = ["".join(text.vocabulary[i] for i in p) for p in (text.train, text.validation, text.test)]
        assert all(torch.equal(a, b) for a, b in ((text.train, again.train), (text.test, again.test)))
        assert all(piece in whole for piece in pieces) and sum(map(len, pieces)) == len(whole)
        seen.add(tuple(pieces))
    assert 1 < len(seen) <= 6


def test_what_training_never_saw_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("a b a b a b a c\n" * 10 + "rare words " * 8)
    for seed in range(6):
        text = load(path, level="word", seed=seed, min_count=2)
        trained = set(said(text, text.train).split())
        assert set(text.vocabulary) == trained | {OTHER} or set(text.vocabulary) == trained
        assert int(torch.cat([text.train, text.validation, text.test]).min()) >= 0


def test_a_limit_keeps_the_proportion_and_the_test_split() -> None:
    text = load()
    short = text.limited(9000)
    assert (len(short.train), len(short.validation), len(short.test)) == (8000, 1000, 10_005)
    assert text.limited(10**9) is text
    with pytest.raises(InputError, match="fewer than 2"):
        text.limited(5)


def test_mistakes_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "short.txt").write_text("abc")
    for source, settings, says in (
        ("shakespear", {}, "did you mean 'shakespeare'"),
        (tmp_path / "no.txt", {}, "does not exist"),
        (tmp_path, {}, "holds no text: it needs ptb.train.txt or wiki.train.tokens or train.txt"),
        (tmp_path / "empty.txt", {}, "is empty"),
        (tmp_path / "bytes.txt", {}, "not text in UTF-8"),
        (tmp_path / "short.txt", {}, "too few for three splits"),
        ("shakespeare", {"level": "letter"}, "unknown level 'letter'"),
        ("shakespeare", {"held_out": (0.5, 0.5)}, "must be two fractions"),
    ):
        with pytest.raises(InputError, match=says) as error:
            load(source, **settings)
        assert "\n" not in str(error.value)


def chunks(stream: TextStream) -> list[Chunk]:
    return list(iter(stream))


@given(some.integers(20, 200), some.integers(1, 5), some.integers(1, 12), some.sampled_from(["fixed", "halved", "normal"]))
def test_a_pass_covers_every_strand_once_and_targets_are_the_next_tokens(n: int, batch: int, steps: int, lengths: str) -> None:
    stream = TextStream(torch.arange(n), batch, steps, lengths=lengths)
    for _ in range(2):
        seen = chunks(stream)
        tokens = torch.cat([c.tokens for c in seen])
        assert torch.equal(tokens.t().flatten(), torch.cat([torch.arange(n)[i * (n // batch) :][: n // batch - 1] for i in range(batch)]))
        assert all(torch.equal(c.targets, c.tokens + 1) for c in seen)
        if lengths == "fixed":
            assert len(seen) == len(stream)


def test_lengths_are_those_of_the_paper_and_a_function_of_the_seed() -> None:
    text = torch.arange(200_000)
    halved = [len(c.tokens) for c in chunks(TextStream(text, 1, 35, lengths="halved"))][:-1]
    assert set(halved) == {35, 17} and halved.count(35) / len(halved) == pytest.approx(0.95, abs=0.01)
    stream = TextStream(text, 1, 35, lengths="normal", seed=1)
    normal = [len(c.tokens) for c in chunks(stream)][:-1]
    assert min(normal) >= 5 and max(normal) <= 55 and len(set(normal)) > 20
    assert sum(normal) / len(normal) == pytest.approx(0.95 * 35 + 0.05 * 17.5, rel=0.02)
    assert len(stream) == pytest.approx(len(normal), rel=0.02)
    assert normal == [len(c.tokens) for c in chunks(TextStream(text, 1, 35, lengths="normal", seed=1))][:-1]
    assert normal != [len(c.tokens) for c in chunks(stream)][:-1]  # the next pass


def run(chunk: Chunk) -> torch.Tensor:
    """A network whose hidden state counts the tokens it has read."""
    before = torch.zeros(chunk.tokens.shape[1]) if chunk.hidden is None else chunk.hidden
    chunk.after = before + len(chunk.tokens)
    return chunk.after


def test_the_hidden_state_goes_on_within_a_pass_and_starts_anew_with_the_next() -> None:
    data = Data(train=TextStream(torch.arange(60), 2, 7))
    counts = [int(run(data.next("train"))[0]) for _ in range(10)]
    assert counts == [7, 14, 21, 28, 29, 7, 14, 21, 28, 29]
    assert [c.hidden for c in data.each("train")] == [None] * 5  # nobody ran them


def test_a_stream_goes_on_at_its_chunk_with_its_hidden_state() -> None:
    def made() -> Data:
        return Data(train=TextStream(torch.arange(300), 2, 7, lengths="normal", seed=3))

    data = made()
    for _ in range(9):
        run(data.next("train"))
    state = data.state_dict()
    rest = [(c.tokens, run(c)) for c in (data.next("train") for _ in range(40))]
    other = made()
    other.load_state_dict(state)
    for tokens, hidden in rest:
        chunk = other.next("train")
        assert torch.equal(chunk.tokens, tokens) and torch.equal(run(chunk), hidden)


def test_evaluation_reads_in_order_at_its_own_batch_size() -> None:
    stream = TextStream(torch.arange(100), 4, 6, lengths="halved", evaluation_batch=2)
    next(iter(stream))
    order = stream.in_order()
    assert order.batch == 2 and not order.training and [len(c.tokens) for c in chunks(order)] == [6] * 8 + [1]
    assert len(TextStream(torch.arange(9), 1, 4, evaluation_batch=10).in_order().strands) == 2
    tokens, targets = chunks(order)[0]
    assert tokens.shape == (6, 2) and targets.shape == (12,)


def test_streams_refuse_what_cannot_be_read() -> None:
    with pytest.raises(InputError, match="too few for 10 strands"):
        TextStream(torch.arange(12), 10)
    with pytest.raises(InputError, match="did you mean 'normal'"):
        TextStream(torch.arange(12), 1, lengths="norml")
    with pytest.raises(InputError, match="at least 1 strand"):
        TextStream(torch.arange(12), 0)
    with pytest.raises(InputError, match="cannot go on at step 90"):
        TextStream(torch.arange(12), 1).load_state_dict({"turn": 0, "index": 3, "at": 90, "hidden": None})


class Second(Alone):
    """The second of two ranks, as far as a stream asks."""

    number, count = 1, 2

    def in_turn(self, own: list[Any]) -> list[Any]:
        return [own[0] - 10, own[0]]


def test_a_rank_reads_its_strands_and_goes_on_from_a_state_of_all() -> None:
    whole, part = TextStream(torch.arange(80), 4, 6), TextStream(torch.arange(80), 4, 6, ranks=Second())
    for stream in (whole, part):
        stream.load_state_dict({"turn": 0, "index": 1, "at": 6, "hidden": (torch.arange(4.0)[:, None],)})
    every, own = next(iter(whole)), next(iter(part))
    assert torch.equal(own.tokens, every.tokens[:, 2:]) and torch.equal(own.targets, every.targets[:, 2:])
    assert torch.equal(own.hidden[0], every.hidden[0][2:])
    own.after = (torch.tensor([[12.0], [13.0]]),)
    assert part.state_dict()["hidden"][0].flatten().tolist() == [2.0, 3.0, 12.0, 13.0]
    assert next(iter(part.in_order())).tokens.shape == (6, 4)
    with pytest.raises(InputError, match="strands are shared by all 2 ranks equally: give --batch-size a multiple of that; got 3"):
        TextStream(torch.arange(80), 3, 6, ranks=Second())
