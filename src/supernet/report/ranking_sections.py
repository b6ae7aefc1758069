"""The part of a report on how well the shared weights rank architectures that were trained on their own."""

from __future__ import annotations

from supernet.report.chart import Series, chart
from supernet.report.record import Record, numbers
from supernet.report.sections import Pictures, Section, Table
from supernet.report.values import architecture_text, scale, score, titled


def ranking(record: Record) -> Section | None:
    """What was scored against what is known, the statistics, and how many validation examples they need."""
    found = record.ranking
    whole = [(float(point["shared"]), float(point["known"]), point["architecture"]) for point in found.get("points", ())]
    if len(whole) < 2:
        return None
    metric = record.score(str(found.get("metric", "")))
    times = scale(metric, [own for own, _, _ in whole])
    notes = [f"{architecture_text(choices)}: {score(metric, own)} by shared weights, {known:.4g} known" for own, known, choices in whole]
    places = [(own * times, known) for own, known, _ in whole]
    against = str(found.get("against", "what is known"))
    svgs = [chart([Series("architecture", places, "points", notes)], against, f"{titled(metric, times)} by shared weights")]
    taus = [(float(examples), tau) for examples, tau in numbers(found.get("by_examples")).items()]
    if len(taus) > 1:
        svgs.append(chart([Series("Kendall's tau", taus)], "Kendall's tau", "validation examples"))
    facts, interval = numbers(found), found.get("interval")
    between = f", between {interval[0]:.3f} and {interval[1]:.3f}" if isinstance(interval, list) and len(interval) == 2 else ""
    rows = [["Kendall's tau", f"{facts['kendall']:.3f}{between}" if "kendall" in facts else "ranks nothing"]]
    rows += [["Spearman's correlation", f"{facts['spearman']:.3f}"]] if "spearman" in facts else []
    lost = numbers(found.get("regret"))
    rows += [[f"Regret of the {'one' if k == '1' else k} ranked first", f"{value:.4g}"] for k, value in lost.items()]
    words = [f"{len(whole)} architectures, by the shared weights and by {against}. The interval is that of a bootstrap, 95 %."]
    words.append("The regret is the best that is known of all of them less the best of those that the shared weights rank first.")
    words += [f"{found['enough']['says']}."] if found.get("enough") else []
    return Section("Ranking", words, pictures=[Pictures(svgs)], tables=[Table(["", "Value"], rows)])
