"""Read a text by name or by path into tokens: words or characters, in three contiguous splits.

Layouts: word-level Penn Treebank (Mikolov et al. 2010, https://doi.org/10.21437/Interspeech.2010-343), WikiText-2 (Merity et al.
2017, https://arxiv.org/abs/1609.07843), and any text file.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy
import torch
from torch import Tensor

from supernet.data import KnownSet
from supernet.errors import InputError, unknown
from supernet.files.readers import check_ordinary

PARTS = ("train", "valid", "test")
LEVELS = ("word", "character")
END, OTHER = "<eos>", "<unk>"  # what ends each line of words; what stands for tokens that training never saw
PATTERNS = ("ptb.{}.txt", "wiki.{}.tokens", "{}.txt")

SETS: dict[str, KnownSet] = {
    "shakespeare": KnownSet(
        about="100,050 characters of Coriolanus; comes with this package, read by character",
        cite="William Shakespeare, public domain",
    ),
    "ptb": KnownSet(
        about="Penn Treebank, 929,589 words for training, 10,000 different ones; ptb.train.txt, ptb.valid.txt and ptb.test.txt",
        folders=("ptb", "penn", "PennTreebank"),
        get="get the word-level Penn Treebank of Mikolov (its licence is the Linguistic Data Consortium's) and put its three files there",
        cite="M. Marcus, B. Santorini and M. Marcinkiewicz, Building a Large Annotated Corpus of English: The Penn Treebank, 1993",
    ),
    "wikitext-2": KnownSet(
        about="WikiText-2, 2,088,628 words for training, 33,278 different ones; wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens",
        folders=("wikitext-2", "wikitext-2-v1", "WikiText2"),
        get="get WikiText-2 from https://arxiv.org/abs/1609.07843's authors and put its three files there",
        cite="S. Merity, C. Xiong, J. Bradbury and R. Socher, Pointer Sentinel Mixture Models, 2017, https://arxiv.org/abs/1609.07843",
    ),
}


@dataclass(frozen=True)
class Text:
    """Tokens (N,), int64, of each split, and what they stand for; ``notes`` says what was done."""

    name: str
    level: str
    vocabulary: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    notes: tuple[str, ...] = ()

    def limited(self, tokens: int) -> Text:
        """The first of the training and the validation tokens, ``tokens`` in all, in their proportion; all of the test ones."""
        whole = len(self.train) + len(self.validation)
        if tokens >= whole:
            return self
        kept = [len(part) * tokens // whole for part in (self.train, self.validation)]
        if min(kept) < 2:
            raise InputError(f"a limit of {tokens} tokens leaves fewer than 2 in a split of {self.name}")
        return replace(self, train=self.train[: kept[0]], validation=self.validation[: kept[1]])


def load(
    source: str | os.PathLike[str] = "shakespeare",
    folder: str | os.PathLike[str] | None = None,
    *,
    level: str | None = None,
    min_count: int = 1,
    held_out: tuple[float, float] = (0.1, 0.1),
    seed: int = 0,
) -> Text:
    """Read a text.

    source: a name of ``SETS``, or a path: a folder with ptb.train.txt, wiki.train.tokens or train.txt and their like (valid, test), or
    a text file in UTF-8.
    folder: where a named set lies; otherwise it is looked for in $SUPERNET_DATA, then in ``data``.
    level: "word" (between spaces; every line ends with <eos>) or "character"; by default words of a folder, characters of a file.
    min_count, held_out, seed: of a file. Words that its training split has less often become <unk>, like all that is only in the
    others; the fractions that validate and test; which of the six orders of the three splits, each one piece, is taken.

    A folder's vocabulary is that of its three files, as is usual for these sets. Raises InputError, one line.
    """
    name = os.fspath(source)
    if level is not None and level not in LEVELS:
        raise unknown("level", level, LEVELS)
    if min(held_out) <= 0 or sum(held_out) >= 1:
        raise InputError(f"held_out {held_out} must be two fractions above 0 that leave some of the text for training")
    if name == "shakespeare":
        text = files(__package__).joinpath("shakespeare.txt").read_text(encoding="utf-8")
        return _cut(name, text, level or "character", min_count, held_out, seed)
    path = _found(name, folder) if name in SETS else Path(name).expanduser()
    if not path.exists():
        if os.sep in name or path.suffix:
            raise InputError(f"{path} does not exist; a text is a file, a folder, or one of {', '.join(SETS)}")
        raise unknown("text", name, SETS)
    if path.is_dir():
        return _folder(name if name in SETS else path.name, path, level or "word")
    return _cut(path.name, _read(path), level or "character", min_count, held_out, seed)


def is_text(source: str | os.PathLike[str]) -> bool:
    """Whether ``load`` is the reader for a name or path: a name of ``SETS``, a folder in one of the layouts, a .txt or .tokens file."""
    path = Path(source).expanduser()
    return os.fspath(source) in SETS or path.suffix in (".txt", ".tokens") or _pattern(path) is not None


def _pattern(folder: Path) -> str | None:
    return next((p for p in PATTERNS if all((folder / p.format(part)).is_file() for part in PARTS)), None)


def _found(name: str, folder: str | os.PathLike[str] | None) -> Path:
    named = os.environ.get("SUPERNET_DATA")
    roots = [os.fspath(folder)] if folder is not None else [*([named] if named else []), "data"]
    known = SETS[name]
    own = PATTERNS[0] if name == "ptb" else PATTERNS[1]
    for root in roots:
        for place in (*(Path(root) / below for below in known.folders), Path(root)):
            if _pattern(place) == own or (place != Path(root) and _pattern(place)):
                return place
    where, wanted = " or ".join(roots), " or ".join(known.folders)
    raise InputError(f"{name} is not in {where} (looked for {wanted}); {known.get}, or let SUPERNET_DATA name the folder it is in")


def _read(path: Path) -> str:
    check_ordinary(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: byte {error.start} cannot be read") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    if not text.strip():
        raise InputError(f"{path} is empty")
    return text


def _folder(name: str, path: Path, level: str) -> Text:
    pattern = _pattern(path)
    if pattern is None:
        wanted = " or ".join(p.format("train") for p in PATTERNS)
        raise InputError(f"{path} holds no text: it needs {wanted}, and the same for valid and test")
    parts = [_tokens(_read(path / pattern.format(part)), level) for part in PARTS]
    vocabulary = tuple(dict.fromkeys(itertools.chain(*parts)))
    return _text(name, level, vocabulary, parts)


def _cut(name: str, text: str, level: str, min_count: int, held_out: tuple[float, float], seed: int) -> Text:
    """A text in three contiguous pieces, their order by the seed; the vocabulary is that of the training piece."""
    tokens = _tokens(text, level)
    held = [int(fraction * len(tokens)) for fraction in held_out]
    sizes = {"train": len(tokens) - sum(held), "validation": held[0], "test": held[1]}
    if min(sizes.values()) < 2:
        raise InputError(f"{name} has {len(tokens)} tokens, too few for three splits")
    orders = list(itertools.permutations(sizes))
    order = orders[int(numpy.random.SeedSequence(seed % 2**64).generate_state(1)[0]) % len(orders)]
    at, pieces = 0, {}
    for part in order:
        pieces[part] = tokens[at : at + sizes[part]]
        at += sizes[part]
    counts = Counter(pieces["train"])
    vocabulary = tuple(t for t, n in counts.items() if n >= min_count)
    parts = [pieces[part] for part in sizes]
    if OTHER not in vocabulary and set(itertools.chain(*parts)) - set(vocabulary):
        vocabulary = (*vocabulary, OTHER)
    pieces_said = ", ".join(f"{part} ({sizes[part]:,})" for part in order)
    note = f"{name} is one text of {len(tokens):,} {level}s, cut in this order into {pieces_said}"
    return _text(name, level, vocabulary, parts, (note,))


def _tokens(text: str, level: str) -> Sequence[str]:
    """A sequence of tokens: characters, or words with <eos> after each line."""
    if level == "character":
        return text
    lines = text.split("\n")
    return [word for line in (lines if lines[-1] else lines[:-1]) for word in (*line.split(), END)]


def _text(name: str, level: str, vocabulary: tuple[str, ...], parts: Iterable[Iterable[str]], notes: tuple[str, ...] = ()) -> Text:
    places = {token: i for i, token in enumerate(vocabulary)}
    other = places.get(OTHER, -1)
    train, validation, test = (torch.tensor([places.get(token, other) for token in part]) for part in parts)
    return Text(name, level, vocabulary, train, validation, test, notes)
