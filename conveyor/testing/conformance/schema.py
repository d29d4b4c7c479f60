"""The schema: what an open store says of its migrations."""

from __future__ import annotations

from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import Workshop

__all__ = ["SchemaConformance"]


class SchemaConformance(StoreKit):
    """An opened store is migrated, and migrating it again is harmless."""

    async def test_an_opened_store_is_at_the_version_it_wants(self, workshop: Workshop) -> None:
        status = await workshop.store.schema.get_status()
        assert status.found == status.wanted
        assert status.pending == ()

    async def test_migrating_again_applies_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert list(await workshop.store.schema.migrate()) == []
        assert await workshop.fetch_order() == ["a"]

    async def test_opening_again_finds_the_schema_in_place(self, open_workshop: OpenWorkshop) -> None:
        async with open_workshop() as workshop:
            needs(workshop.store.capabilities.is_durable, "is_durable")
            before = await workshop.store.schema.get_status()
        async with open_workshop() as workshop:
            assert await workshop.store.schema.get_status() == before
            assert list(await workshop.store.schema.migrate()) == []

    async def test_facets_are_there_as_declared(self, workshop: Workshop) -> None:
        store = workshop.store
        assert (store.notifier is not None) == store.capabilities.has_notifications
        assert (store.inspection is not None) == store.capabilities.has_inspection
        assert (store.transactions is not None) == store.capabilities.has_transactions
