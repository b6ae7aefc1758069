"""What a search did not decide, said as plainly as what it did: verdicts as plain data, kept with what was found.

Shares of right answers are told apart by the normal interval of the difference of two of them (Agresti, Caffo 2000,
https://doi.org/10.1080/00031305.2000.10474560); rankings by the deviation of Kendall's tau of unrelated ones (Kendall 1938,
https://doi.org/10.1093/biomet/30.1-2.81).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Verdict = dict[str, Any]  # {"decided": bool, "says": a sentence} and the numbers behind it

# Of a softmax over K options whose logits have the standard deviation s, the entropy falls short of its maximum by s^2 / (2 ln K):
# at 0.99 the logits of 8 options deviate by 0.2, so that an option is believed in 1.2 times as much as on average.
UNIFORM = 0.99
SURE = 1.96  # deviations of a normal interval of 95 %
UNKNOWN = "which may differ by chance by an unknown amount"  # of scores that are no shares of known examples
MOST = 0.75  # of the trials: where so many cannot be told from the best, the search did not find it


def entropies(belief: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The entropy of the options of each choice that has several: 1 where they are believed in alike, 0 where one is alone."""
    found = {}
    for name, worth in belief.items():
        total = math.fsum(worth)
        if len(worth) > 1 and total > 0:  # gates need not add up to 1
            shares = [w / total for w in worth if w > 0]
            found[name] = max(-math.fsum(p * math.log(p) for p in shares) / math.log(len(worth)), 0.0)
    return found


def by_alphas(belief: Mapping[str, Sequence[float]]) -> Verdict | None:
    """Whether the options of the choices are believed in differently; None without a choice between options."""
    found = entropies(belief)
    if not found:
        return None
    mean = math.fsum(found.values()) / len(found)
    alike = sum(entropy >= UNIFORM for entropy in found.values())
    facts = {"entropy": round(mean, 6), "uniform_choices": alike, "choices": len(found)}
    if mean < UNIFORM:
        return {"decided": True, "says": f"the alphas prefer some options: their mean entropy is {mean:.3f} of 1", **facts}
    says = f"the alphas are nearly uniform: their mean entropy is {mean:.4f} of 1, and {alike} of {len(found)} choices are open"
    advice = "what is derived is little better than drawn at random. Search longer, or raise alpha_lr"
    return {"decided": False, "says": f"{says}; {advice}", **facts}


def margin(a: float, b: float, examples: int | None) -> float:
    """By how much two shares of ``examples`` differ by chance alone, at 95 %; 0 for scores that are no shares of known examples."""
    if not examples or not all(0 <= share <= 1 for share in (a, b)):
        return 0.0
    shares = [(share * examples + 1) / (examples + 2) for share in (a, b)]
    return SURE * math.sqrt(sum(p * (1 - p) for p in shares) / (examples + 2))


def by_trials(scores: Sequence[float], examples: int | None = None, what: str = "trials") -> Verdict | None:
    """Whether most trials can be told from the best. ``scores``: larger is better; None for fewer than two. ``what`` they are called."""
    if len(scores) < 2:
        return None
    best = max(scores)
    alike = sum(best - score <= margin(best, score, examples) for score in scores)
    facts = {"alike": alike, "trials": len(scores), **({"examples": examples} if examples else {})}
    by = f"by {examples} validation examples" if examples else f"by their scores, {UNKNOWN}"
    says = f"{alike} of {len(scores)} {what}, the best among them, cannot be told apart {by}"
    if alike < 2:
        alone = f"can be told from all others {by}" if examples else f"has a score of its own, {UNKNOWN}"
        return {"decided": True, "says": f"the best of {len(scores)} {what} {alone}", **facts}
    if alike < MOST * len(scores):
        return {"decided": True, "says": says, **facts}
    return {"decided": False, "says": f"{says}: the search prefers none of them. Take the cheapest, or validate on more", **facts}


def by_models(models: Iterable[Mapping[str, Any]]) -> Verdict | None:
    """Whether the searcher followed its model; None where it has none.

    ``models``: see ``searchers.trust``; of several, the one that was doubted most counts.
    """
    most = max(models, key=lambda model: float(model["doubted"] / model["judged"]), default=None)
    if most is None:
        return None
    facts = {name: most[name] for name in ("of", "agreement", "judged", "doubted")}
    ranks = f"the model of {most['of']} ranks scores that it has not seen by a correlation of {most['agreement']:.2f} in the end"
    if not most["doubted"]:
        return {"decided": True, "says": f"{ranks}, and was always followed", **facts}
    says = f"{ranks}; {most['doubted']} of {most['judged']} times it was not followed, and what was tried was drawn by chance"
    return {"decided": 2 * most["doubted"] < most["judged"] and most["followed"], "says": says, **facts}


def by_difference(found: float, random: float, examples: int | None, larger: bool = True) -> Verdict:
    """Whether what was found is better than the best of a random search, both trained alike; ``larger``: whether larger is better."""
    noise, ahead = margin(found, random, examples), found - random if larger else random - found
    decided = abs(ahead) > noise
    shown = [f"{100 * x:.2f} %" if noise else f"{x:.4g}" for x in (found, random)]
    than = f"what was found scores {shown[0]}, the best of random search {shown[1]}"
    chance = f"{examples} validation examples differ by {100 * noise:.2f} points by chance" if noise else "the scores are equal"
    known = "" if noise else f", {UNKNOWN}; supernet compare shows it by seeds"
    says = f"{than}: {'better' if ahead > 0 else 'worse'}{known}" if decided else f"{than}, which is no difference: {chance}"
    return {"decided": decided, "says": says, "difference": round(ahead, 6), "noise": round(noise, 6)}


def by_sample(found: float, drawn: Sequence[float], examples: int | None, larger: bool = True) -> Verdict | None:
    """Whether what was found is better than architectures ``drawn`` at random within its bound; None where there are none."""
    if not drawn:
        return None
    mean = math.fsum(drawn) / len(drawn)
    noise, ahead = margin(found, mean, examples), found - mean if larger else mean - found
    shown = [f"{100 * x:.2f} %" if noise else f"{x:.4g}" for x in (found, mean)]
    than = f"what was found scores {shown[0]}, {len(drawn)} random architectures within the bound {shown[1]} in the mean"
    facts = {"difference": round(ahead, 6), "noise": round(noise, 6), "drawn": len(drawn), **({"examples": examples} if examples else {})}
    if ahead > noise:
        return {"decided": True, "says": f"{than}{'' if noise else f', {UNKNOWN}'}", **facts}
    chance = f": {examples} validation examples differ by {100 * noise:.2f} points by chance" if noise else ""
    return {"decided": False, "says": f"{than}, which is no better{chance}", **facts}


def by_bounds(own: int, alike: Sequence[int], bounds: Sequence[str]) -> Verdict | None:
    """Whether a bound has a network of its own; ``alike``: the numbers of those that share its network, its ``own`` among them.

    ``bounds``: all of them in words. None where there is but one bound.
    """
    if len(bounds) < 2:
        return None
    if alike == [own]:
        return {"decided": True, "says": f"no other bound than {bounds[own]} has this network", "alike": 1}
    which = " and ".join(bounds[number] for number in alike)
    says = f"the bounds {which} have one and the same network: nothing better was found within the wider one. Try more, or leave one out"
    return {"decided": False, "says": says, "alike": len(alike)}


def by_ranking(tau: float | None, samples: int) -> Verdict:
    """Whether the shared weights rank ``samples`` architectures better than chance, by Kendall's tau; None: they rank nothing."""
    noise = SURE * math.sqrt(2 * (2 * samples + 5) / (9 * samples * (samples - 1)))
    facts = {"tau": tau, "samples": samples, "noise": round(noise, 6)}
    if tau is not None and tau > noise:
        return {"decided": True, "says": f"the shared weights rank {samples} architectures with a tau of {tau:.3f}", **facts}
    what = "rank nothing: all score alike" if tau is None else f"do not rank architectures: tau is {tau:.3f} of {samples}"
    return {"decided": False, "says": f"the shared weights {what}, and chance alone gives up to {noise:.3f}", **facts}


def by_seeds(mean: float, low: float | None, high: float | None, seeds: int, larger: bool = True) -> Verdict:
    """Whether a method and random search differ over ``seeds``, by the mean paired difference and its interval, None of too few seeds.

    ``larger``: whether larger is better.
    """
    if low is None or high is None:
        says = "one seed says nothing" if seeds == 1 else f"{seeds} seeds say nothing"
        return {"decided": False, "says": f"{mean:+.4g} from random search, of which {says}"}
    shown = f"{mean:+.4g} from random search, between {low:+.4g} and {high:+.4g} by {seeds} seeds"
    if not low > 0 and not high < 0:
        return {"decided": False, "says": f"{shown}: no difference is shown"}
    return {"decided": True, "says": f"{shown}: {'better' if (mean > 0) == larger else 'worse'}"}


def named(by: str, verdict: Verdict | None) -> dict[str, Verdict]:
    """``verdict`` under the name of what it is by; nothing where there is none."""
    return {by: verdict} if verdict else {}


def undecided(verdicts: Mapping[str, Any]) -> list[str]:
    """The sentences of what was not decided."""
    return [str(verdict["says"]) for verdict in verdicts.values() if isinstance(verdict, Mapping) and verdict.get("decided") is False]
