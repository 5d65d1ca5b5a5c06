"""Hop 3: exactly one process owns a run. Claiming counts the run's epoch up; an old owner is nobody."""

from __future__ import annotations

from pathlib import Path

from tests.events.bench import LogBench, LogPlace

from runstead.domain.run_machine import Claimed
from runstead.store import commit as commits

MINE, OTHERS = Claimed("mine", 15), Claimed("others", 15)


async def test_a_claim_counts_the_epoch_up(tmp_path: Path) -> None:
    """A new run has no owner and epoch 0; its first owner holds epoch 1."""
    bench = await LogBench.open(LogPlace.in_folder(tmp_path))
    run_id = await bench.new_run()

    claim = await bench.db.write(commits.claim, run_id, MINE, bench.clock.now())

    assert claim is not None
    assert (1, "mine") == (claim.run.epoch, claim.run.owner)
    await bench.close()


async def test_a_living_owner_keeps_its_run(tmp_path: Path) -> None:
    """Nobody else may claim while the lease runs."""
    bench = await LogBench.open(LogPlace.in_folder(tmp_path))
    run_id = await bench.new_run()
    await bench.db.write(commits.claim, run_id, MINE, bench.clock.now())
    bench.clock.advance(14.9)

    assert None is await bench.db.write(commits.claim, run_id, OTHERS, bench.clock.now())
    await bench.close()


async def test_a_lease_that_ran_out_is_free(tmp_path: Path) -> None:
    """A process that died does not keep its runs."""
    bench = await LogBench.open(LogPlace.in_folder(tmp_path))
    run_id = await bench.new_run()
    await bench.db.write(commits.claim, run_id, MINE, bench.clock.now())
    bench.clock.advance(15.1)

    claim = await bench.db.write(commits.claim, run_id, OTHERS, bench.clock.now())

    assert claim is not None
    assert (2, "others") == (claim.run.epoch, claim.run.owner)
    await bench.close()


async def test_a_finished_run_is_nobodys(tmp_path: Path) -> None:
    """Final means final: not even by force."""
    bench = await LogBench.open(LogPlace.in_folder(tmp_path))
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    await bench.finish(run, journal)

    claim = await bench.db.write(commits.claim, run_id, MINE, bench.clock.now(), force=True)

    assert claim is None
    await bench.close()
