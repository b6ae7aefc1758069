"""The parts of a report that say what was found: summary, drawing, network, settings, what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from supernet.decided import undecided
from supernet.explore.executor import LOST
from supernet.report.cell_drawing import depict, draw, draw_chain
from supernet.report.record import Options, Record, kept, numbers, over_time
from supernet.report.values import COSTS, architecture_text, called, count, flat, measured, plain, score, spoken

OWN = "own"  # the space that architecture.json names where the module is a user's own


@dataclass(frozen=True)
class Table:
    """Rows of texts; ``left`` is how many of the first columns are words, the others are numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True)
class Pictures:
    """SVG texts beside each other. ``size``: small, half or wide."""

    svgs: Sequence[str]
    size: str = "half"
    title: str = ""


@dataclass(frozen=True)
class Section:
    """One part of a report; what is empty is not shown."""

    title: str
    text: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    code: str = ""
    pictures: Sequence[Pictures] = ()
    tables: Sequence[Table] = ()

    @property
    def anchor(self) -> str:
        """Its address in the page."""
        return re.sub(r"\W+", "-", self.title.lower())


def heading(record: Record) -> str:
    """What the run did, in a few words."""
    method, space, architecture = (record.named(n) for n in ("method", "space", "architecture"))
    if method and space:
        return f"{method} in a module of one's own" if space == OWN else f"{method} in the space {space}"
    if architecture:
        return f"Training of {architecture if len(architecture) < 60 else space or 'an architecture'}"
    return method or space or record.folder.resolve().name


def summary(record: Record) -> Section:
    """What was done and what came out."""
    names = ["method", *(["searcher"] if record.trials and record.epochs else []), *(["estimator"] if record.trials else [])]
    names += ["architecture", "space", "table" if record.named("table") else "data", "seed"]
    facts = [(spoken(n), record.named(n)) for n in names]
    if record.epochs:
        of = record.config.get("epochs")
        facts.append(
            ("Epochs", f"{len(record.epochs)} of {of}" if isinstance(of, int) and of > len(record.epochs) else str(len(record.epochs)))
        )
    facts += [("Trials", outcomes(record.trials))] if record.trials else []
    scores = found_scores(record)
    facts += [(called(record.score(name)), score(record.score(name), value)) for name, value in scores]
    facts += [(spoken(COSTS.get(n, n)), count(v)) for n, v in numbers(record.found.get("costs")).items()] + limits(record)
    for part in ("validation", "test"):
        last = numbers(record.epochs[-1].get(part)) if record.epochs else {}
        if not any(name.startswith(part) for name, _ in scores):
            facts += [(f"{called(record.score(f'{part}_{name}'))}, last epoch", score(record.score(name), v)) for name, v in last.items()]
    text = [] if record.found else ["This run has no architecture.json: it has not finished."]
    choices = record.found.get("choices") or {}
    return Section("Summary", text, [f for f in facts if f[1]], record.found.get("genotype") or architecture_text(choices, 400))


def decided(record: Record) -> Section | None:
    """What the search decided and what it did not, as it was judged when it ended."""
    known = record.found.get("decided") or {}
    verdicts = {str(by): v for by, v in known.items() if isinstance(v, Mapping) and "says" in v}
    if not verdicts:
        return None
    rows = [[spoken(by), "no" if v.get("decided") is False else "yes", str(v["says"])] for by, v in verdicts.items()]
    open_ones = len(undecided(verdicts))
    title = "Undecided" if open_ones == len(rows) else "Decided in part" if open_ones else "Decided"
    return Section(title, tables=[Table(["By", "Decided", "Why"], rows, 3)])


def outcomes(trials: Sequence[Mapping[str, Any]]) -> str:
    """How many trials there were, and what became of them."""
    parts = [f" by {part:.3g} of an estimate" if (part := numbers(t).get("fidelity", 1.0)) != 1 else "" for t in trials]
    kinds = [f"{t.get('outcome', 'scored')}{part}" for t, part in zip(trials, parts, strict=True)]
    return f"{len(trials)} ({', '.join(f'{kinds.count(kind)} {kind}' for kind in dict.fromkeys(kinds))})"


def found_scores(record: Record) -> list[tuple[str, float]]:
    """The scores of what was found; those in groups as "validation_accuracy". A score that such a one repeats is left out."""
    scores: dict[str, float] = {}
    for name, value in (record.found.get("scores") or {}).items():
        scores |= {f"{name}_{metric}": v for metric, v in numbers(value).items()} or numbers({name: value})
    scores = {name: v for name, v in scores.items() if name not in ("validation_validation", "test_test")}
    repeated = {
        part for part in ("validation", "test") if any(n.startswith(f"{part}_") and v == scores.get(part) for n, v in scores.items())
    }
    return [(name, value) for name, value in scores.items() if name not in repeated]


def limits(record: Record) -> list[tuple[str, str]]:
    """Each limit of the settings, and whether what was found keeps it."""
    facts, costs = [], numbers(record.found.get("costs"))
    asked = {name: numbers(entry).get("bound") for name, entry in (record.found.get("limits") or {}).items()}
    bounds: dict[str, float | None] = {**asked, **numbers(record.config.get("limits"))}
    for name, bound in bounds.items():
        if name not in COSTS or bound is None:
            continue
        judged = (record.found.get("limits") or {}).get(name)
        known = judged.get("holds") if isinstance(judged, dict) else None
        holds = known if isinstance(known, bool) else costs[name] <= bound if name in costs else None
        verdict = "" if holds is None else "; holds" if holds else "; does not hold"
        facts.append((f"Limit on {COSTS.get(name, name)}", f"at most {count(bound, short=False)}{verdict}"))
    return facts


def drawing(record: Record) -> Section | None:
    """The picture of what was found; of an unfinished search, of what its last epoch would derive."""
    last = record.epochs[-1] if record.epochs and not record.found else {}
    choices = record.found.get("choices") or last.get("architecture")
    genotype = record.found.get("genotype") or last.get("genotype")
    if not choices and not genotype:
        return None
    svg: str | None
    if choices and record.named("space") == OWN:
        svg = draw_chain([architecture_text({name: taken}) for name, taken in choices.items()], "Blocks, as the choices come in the module")
    else:
        what = record.named("space") or "the network", choices, genotype, record.found.get("settings")
        svg = depict(*what) if record.found else draw(*what)  # of what was found, the section on the network has the table
    text = [] if record.found else [f"What would be derived after epoch {last.get('epoch')}."]
    return Section("Architecture", text, pictures=[Pictures([svg], "wide")]) if svg else None


def network(record: Record, options: Options) -> Section | None:
    """The discretised network: its size, its settings, and what every choice that matters takes."""
    choices, costs = record.found.get("choices") or {}, numbers(record.found.get("costs"))
    if not choices and not costs:
        return None
    facts = [(spoken(COSTS.get(n, n)), count(v)) for n, v in costs.items()]
    facts += [(spoken(n), v) for n, v in flat(record.found.get("settings") or {})]
    rows = []
    for name, taken in choices.items():
        if kept(name, choices):
            shares = over_time(record.epochs[-1:], name, options)[1].get(str(taken))
            rows.append([name, plain(taken), f"{100 * shares[-1]:.1f} %" if shares else ""])
    said = record.found.get("counted")
    wide = 3 if any(row[2] for row in rows) else 2
    table = Table(["Choice", "Takes", "Its share at the end"][:wide], [row[:wide] for row in rows], 2)
    return Section("Network", [f"{spoken(said)}."] if isinstance(said, str) else [], facts, tables=[table] if rows else [])


def settings(record: Record) -> Section | None:
    """The settings of the run that are set."""
    rows = [(name, value) for name, value in flat(record.config) if ".space." not in name and not name.endswith(".is")]  # plain settings
    return Section("Settings", tables=[Table(["Setting", "Value"], rows, 2)]) if rows else None


def measurements(record: Record) -> Section | None:
    """What depends on the clock and the machine: numbers by their median, largest and sum, words as they are."""
    rows = []
    for what, lines in (("epoch", record.epochs), ("trial", record.trials)):
        entries = [line.get("measured") or {} for line in lines]
        for name in dict.fromkeys(n for entry in entries for n in entry):
            values = [v for entry in entries for v in numbers({name: entry.get(name)}).values() if v == v]
            texts = [str(entry[name]) for entry in entries if entry.get(name) is not None]
            if values:
                total = measured(name, sum(values)) if name in ("seconds", LOST) else ""
                rows.append([f"{spoken(name)} ({what})", measured(name, median(values)), measured(name, max(values)), total])
            elif texts:
                rows.append([f"{spoken(name)} ({what})", texts[-1], "", ""])
    for place in (record.config, record.found):
        entry = place.get("measured")
        own = {name: value for name, value in entry.items() if name != "latency"} if isinstance(entry, Mapping) else {}  # see Bounds
        rows += [[spoken(n), v, "", ""] for n, v in flat(own)]
    return Section("Measured", tables=[Table(["", "Median", "Largest", "In all"], rows)]) if rows else None
