"""The whole chain of manifest entries, read to its first: what is wrong with it, and the best state it still gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tele.errors import DamagedFile
from tele.store.layout import Layout
from tele.store.manifest import Link, State, link, numbers

__all__ = ["Chain", "Fault", "walk"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry that cannot be relied on."""

    n: int
    why: str


@dataclass(slots=True)
class Chain:
    """What the entries say together."""

    state: State = field(default_factory=State)
    """Fold of all that could be read."""
    hashes: dict[str, int] = field(default_factory=dict)
    """Number of each entry by its SHA-256."""
    faults: list[Fault] = field(default_factory=list)
    broken: bool = False
    """Whether an entry is lacking that the state depends on: no reader can open the store."""


def walk(layout: Layout) -> Chain:
    """Read every entry; raises NewerFormat only."""
    chain = Chain()
    found: dict[int, Link] = {}
    before = 0
    for n in numbers(layout):
        if n > before + 1:
            chain.faults.append(Fault(before + 1, f"entries {before + 1} to {n - 1} are missing"))
        before = n
        try:
            found[n] = link(layout, n)
        except DamagedFile as error:
            chain.faults.append(Fault(n, error.why))
    before = 0
    for n, one in found.items():
        chain.broken = chain.broken or n != before + 1
        _follow(chain, one, found.get(n - 1))
        before = n
    chain.broken = chain.broken or any(fault.n > before for fault in chain.faults)
    mended = {n for one in found.values() for n in one.entry.lost}
    chain.faults = sorted((fault for fault in chain.faults if fault.n not in mended), key=lambda fault: fault.n)
    return chain


def _follow(chain: Chain, one: Link, before: Link | None) -> None:
    if before is not None and one.previous != before.sha256:
        chain.faults.append(Fault(one.n, "it does not follow the entry before it"))
        chain.broken = True
    state = chain.state.apply(one.entry, one.n)
    if one.checkpoint is not None:
        if not chain.broken and replace(one.checkpoint, n=0, head="") != replace(state, n=0, head=""):
            chain.faults.append(Fault(one.n, "the state that it carries is not that of the entries before it"))
        state, chain.broken = one.checkpoint, False
    chain.state = replace(state, n=one.n, head=one.sha256)
    chain.hashes |= dict.fromkeys(one.entry.purged, one.n) | {one.sha256: one.n}
