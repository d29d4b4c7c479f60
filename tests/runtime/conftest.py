"""A store whose answers can be spoiled, for watching the runtime cope."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.contracts.store import Store


class Spoiler:
    """Wraps an open store: each call of a facet may be made to fail, before or after it took effect.

    ``spoil(name, count)`` before; ``spoil(name, count, after=True)`` after: the answer is lost.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        facet = getattr(self.store, name)
        return SpoiledFacet(self, facet) if name in ("jobs", "sessions") else facet

    def spoil(self, method: str, count: int, *, after: bool = False) -> None:
        """Make the next calls of a method fail."""
        (self._after if after else self._before)[method] = count

    async def call(self, method: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call through, or fail."""
        self.calls[method] += 1
        if self._before[method]:
            self._before[method] -= 1
            raise StoreUnavailableError(f"{method} was spoiled before it took effect")
        answer = await function(*args, **kwargs)
        if self._after[method]:
            self._after[method] -= 1
            raise StoreUnavailableError(f"the answer of {method} was lost")
        return answer


class SpoiledFacet:
    """One facet of a spoiled store."""

    def __init__(self, spoiler: Spoiler, facet: Any) -> None:
        self._spoiler = spoiler
        self._facet = facet

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._facet, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._spoiler.call(name, function, args, kwargs)

        return call
