"""Transactions: what a run writes and its completion take effect together, or not at all."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.errors import (
    CapabilityError,
    ConfigurationError,
    ConstraintError,
    InvalidJobStateError,
    LockLostError,
    StoreError,
)
from conveyor.model.flows import plan_flow
from conveyor.model.job import LogEntry
from conveyor.model.queries import Added
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.books import LONGEST, Books
from conveyor.testing.conformance.flow_bench import bench_of
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.locks import zombie_and_heir
from conveyor.testing.conformance.workshop import Workshop, ending, lock_of

if TYPE_CHECKING:
    from conveyor.model.job import JobData

__all__ = ["TransactionsConformance"]

# To be outlived: the first, unless it is over before anything can be written in it.
SHORT_TRANSACTIONS: Final = tuple(timedelta(seconds=seconds) for seconds in (0.4, 4, 40))


class TransactionsConformance(StoreKit):
    """A run's transaction is fenced by its lock, bounded in time, and all or nothing."""

    @pytest.fixture
    async def books(self, workshop: Workshop) -> Books:
        """The facet, in a database that has a table of its user's, `books (title)`."""
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        return await Books.opened(workshop)

    async def test_a_store_without_transactions_refuses_to_join_one(self, workshop: Workshop) -> None:
        needs(not workshop.store.capabilities.has_transactions, "no_transactions")
        assert workshop.store.transactions is None
        with pytest.raises(CapabilityError, match="transactions"):
            await workshop.jobs.save_jobs_in(object(), [workshop.new("a")])
        assert await workshop.state("a") is None

    async def test_a_store_without_transactions_refuses_to_join_one_with_a_flow(self, workshop: Workshop) -> None:
        needs(not workshop.store.capabilities.has_transactions, "no_transactions")
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        with pytest.raises(CapabilityError, match="transactions"):
            await bench.flows.save_flow_in(object(), plan_flow(bench.flow("top", bench.part("part"))))
        assert await bench.states("top", "part") == [None, None]

    async def test_a_commit_completes_the_job_with_what_was_written(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            assert await transaction.connection.execute("insert into books (title) values ('Emma')") == 1
            assert await workshop.state("a") is JobState.ACTIVE
            line = LogEntry("a", "sold", lock=lock_of(job), attempt=1)
            await transaction.commit(ending(lock_of(job), Command.COMPLETE, result=b'"ok"'), [line])
        done = await workshop.job("a")
        assert (done.state, done.result) == (JobState.COMPLETED, b'"ok"')
        assert [line.message for line in await workshop.jobs.get_logs("a")] == ["sold"]
        assert await workshop.outcomes("a") == ["completed"]
        assert await books.titles() == ["Emma"]

    async def test_a_statement_for_many_rows_tells_how_many_it_changed(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            # Without parameters, for each database has placeholders of its own.
            many = transaction.connection.executemany
            assert await many("insert into books (title) values ('Emma')", [()] * 1200) == 1200
            assert await many("update books set title = 'Persuasion' where title = 'Emma';", [()] * 3) == 1200
            assert await many("delete from books where title = 'Emma'", [(), ()]) == 0
            assert await many("delete from books", []) == 0
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await books.titles() == ["Persuasion"] * 1200

    async def test_a_constraint_that_refuses_a_statement_is_told_by_its_kind(
        self, workshop: Workshop, books: Books
    ) -> None:
        job = await workshop.fetched("a")
        refused = {
            "('tea', 'here', 2)": ("unique", ("name", "shop")),
            "('milk', null, 1)": ("not_null", ("shop",)),
            "('milk', 'here', -1)": ("check", ()),
        }
        async with books.begun(lock_of(job)) as transaction:
            write = transaction.connection.execute
            await write("drop table if exists book_prices")
            await write(
                "create table book_prices (name text not null, shop text not null, price integer check (price > 0), "
                "primary key (name, shop))"
            )
            await write("insert into book_prices values ('tea', 'here', 1)")
            for row, (kind, columns) in refused.items():
                with pytest.raises(ConstraintError) as caught:
                    await write(f"insert into book_prices values {row}")  # noqa: S608 - rows of this test
                assert caught.value.kind == kind
                # A driver need not say which.
                assert caught.value.columns in {columns, ()}
            assert len(await transaction.connection.fetch("select name from book_prices")) == 1

    async def test_the_end_of_a_run_that_its_transaction_settled_is_applied_already(
        self, workshop: Workshop, books: Books
    ) -> None:
        job = await workshop.fetched("a")
        settlement = ending(lock_of(job), Command.COMPLETE)
        async with books.begun(lock_of(job)) as transaction:
            await transaction.commit(settlement)
        assert await workshop.settle(settlement) == []
        assert await workshop.outcomes("a") == ["completed"]

    async def test_a_rollback_leaves_nothing(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            await workshop.jobs.save_jobs_in(transaction.connection, [workshop.new("b")])
            await transaction.roll_back()
            await transaction.roll_back()
        assert (await workshop.state("a"), await workshop.state("b")) == (JobState.ACTIVE, None)
        assert await books.titles() == []

    async def test_jobs_added_in_a_transaction_are_there_when_it_commits(
        self, workshop: Workshop, books: Books
    ) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            receipts = await workshop.jobs.save_jobs_in(transaction.connection, [workshop.new("b"), workshop.new("c")])
            assert [receipt.job_id for receipt in receipts] == ["b", "c"]
            assert await workshop.state("b") is None
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await workshop.fetch_order() == ["b", "c"]

    async def test_an_add_repeated_in_a_transaction_adds_nothing_more(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            for _ in range(2):
                (receipt,) = await workshop.jobs.save_jobs_in(transaction.connection, [workshop.new("b")])
                assert receipt.outcome is Added.ADDED
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await workshop.fetch_order() == ["b"]

    async def test_a_flow_added_in_a_transaction_is_there_when_it_commits(
        self, workshop: Workshop, books: Books
    ) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        job = await workshop.fetched("a")
        plan = plan_flow(bench.flow("top", bench.part("part"), delay=60))
        async with books.begun(lock_of(job)) as transaction:
            for _ in range(2):  # the same again, as after a lost answer
                receipts = await bench.flows.save_flow_in(transaction.connection, plan)
                assert [(receipt.job_id, receipt.outcome) for receipt in receipts] == [
                    ("part", Added.ADDED),
                    ("top", Added.ADDED),
                ]
            assert await bench.states("top", "part") == [None, None]
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await bench.states("top", "part") == [JobState.WAITING_CHILDREN, JobState.WAITING]
        await bench.run()
        assert await workshop.state("top") is JobState.DELAYED

    async def test_a_rollback_leaves_nothing_of_a_flow(self, workshop: Workshop, books: Books) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        job = await workshop.fetched("a")
        plan = plan_flow(bench.flow("top", bench.part("part")))
        async with books.begun(lock_of(job)) as transaction:
            await bench.flows.save_flow_in(transaction.connection, plan)
            await transaction.roll_back()
        assert await bench.states("top", "part") == [None, None]
        assert list(await bench.children()) == []
        await bench.add_pair()
        await bench.run()
        assert await workshop.state("top") is JobState.WAITING

    async def test_a_flow_with_a_taken_id_leaves_the_transaction_as_it_was(
        self, workshop: Workshop, books: Books
    ) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        job = await workshop.fetched("a")
        plan = plan_flow(bench.flow("top", bench.part("a"), bench.part("part")))
        async with books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            receipts = await bench.flows.save_flow_in(transaction.connection, plan)
            assert [receipt.outcome for receipt in receipts] == [Added.DUPLICATE, Added.ADDED, Added.ADDED]
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await bench.states("top", "part") == [None, None]
        assert await books.titles() == ["Emma"]

    async def test_a_zombie_can_begin_no_transaction(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.cancel_job("a", "sold out")
        with pytest.raises(LockLostError):
            await books.transactions.begin(lock_of(job), LONGEST)
        assert await books.titles() == []

    async def test_a_zombie_cannot_commit(self, workshop: Workshop, books: Books) -> None:
        zombie, heir = await zombie_and_heir(workshop)
        with pytest.raises(LockLostError):
            await books.transactions.begin(lock_of(zombie), LONGEST)
        # As where a store lets others take the job away while the transaction is open.
        async with books.begun(lock_of(heir)) as transaction:
            await books.write(transaction.connection, "Emma")
            with pytest.raises(LockLostError):
                await transaction.commit(ending(lock_of(zombie), Command.COMPLETE))
        assert await workshop.job("a") == heir
        assert await books.titles() == []

    async def test_of_a_commit_and_a_cancel_at_once_the_first_wins(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")

        async def cancel() -> None:
            with suppress(InvalidJobStateError):
                await workshop.jobs.cancel_job("a", "sold out")

        async with anyio.create_task_group() as tasks, books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            tasks.start_soon(cancel)
            await books.write(transaction.connection, "Persuasion")
            with suppress(LockLostError):
                await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        is_completed = await workshop.state("a") is JobState.COMPLETED
        assert await books.titles() == (["Emma", "Persuasion"] if is_completed else [])

    async def test_a_commit_under_a_strangers_lock_leaves_nothing(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        other = await workshop.fetched("b")
        await workshop.jobs.cancel_job("b", "sold out")
        async with books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            with pytest.raises(LockLostError):
                await transaction.commit(ending(lock_of(other), Command.COMPLETE))
        assert await workshop.state("a") is JobState.ACTIVE
        assert await books.titles() == []

    async def test_a_transaction_cancelled_in_the_middle_leaves_nothing(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        with anyio.CancelScope() as scope:
            async with books.begun(lock_of(job)) as transaction:
                await books.write(transaction.connection, "Emma")
                scope.cancel()
                await books.write(transaction.connection, "Persuasion")
        assert scope.cancelled_caught
        assert await workshop.state("a") is JobState.ACTIVE
        assert await books.titles() == []

    async def test_after_a_cancelled_statement_nothing_can_be_committed(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await books.write(transaction.connection, "Emma")
            with pytest.raises(StoreError):
                await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert await books.titles() == []

    async def test_two_transactions_at_once_both_commit(self, workshop: Workshop, books: Books) -> None:
        await workshop.add("a", "b")
        jobs = await (await workshop.hand()).fetch()

        async def run(job: JobData) -> None:
            async with books.begun(lock_of(job)) as transaction:
                await books.write(transaction.connection, job.id)
                await transaction.commit(ending(lock_of(job), Command.COMPLETE))

        async with anyio.create_task_group() as tasks:
            for job in jobs:
                tasks.start_soon(run, job)
        assert await books.titles() == ["a", "b"]
        assert (await workshop.state("a"), await workshop.state("b")) == (JobState.COMPLETED, JobState.COMPLETED)

    async def test_a_transaction_that_takes_too_long_is_rolled_back_by_the_store(
        self, workshop: Workshop, books: Books
    ) -> None:
        job = await workshop.fetched("a")
        for longest in SHORT_TRANSACTIONS:
            async with books.begun(lock_of(job), longest) as transaction:
                try:
                    await books.write(transaction.connection, "Emma")
                except TimeoutError:
                    continue  # a busy machine, which needs more time to write that much
                await anyio.sleep(1.25 * longest.total_seconds())
                # Others can write before it is ended by those who began it.
                await workshop.add("b")
                with pytest.raises(TimeoutError):
                    await books.write(transaction.connection, "Persuasion")
                with pytest.raises(TimeoutError):
                    await transaction.commit(ending(lock_of(job), Command.COMPLETE))
                break
        else:
            pytest.fail("no transaction lasts for as long as it may")
        assert await workshop.state("a") is JobState.ACTIVE
        assert await books.titles() == []

    async def test_its_end_is_not_the_users_to_write(self, workshop: Workshop, books: Books) -> None:
        job = await workshop.fetched("a")
        async with books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            for end in ("commit", "rollback"):
                with pytest.raises(ConfigurationError, match="leave its block"):
                    await transaction.connection.execute(end)
        assert await books.titles() == []
