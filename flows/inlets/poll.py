"""An address that is polled: page after page to the end of them, and again after a while.

A round begins at the first page, since what is new may be on any: what is not has the same ids. Where the
settings say that rows are added at the end alone, the cursor is kept, and a round begins at the page that was
the last. A page is durable on the topic before its cursor is kept, and its cursor is kept before the next page
is asked for.
"""

import asyncio
import time

import stamina

from flows.channels.ways import PollSettings
from flows.inlets.cursors import CursorFile
from flows.inlets.keeper import Keeper, Reason
from flows.inlets.pages import Page, PageError, Pages
from schemas.errors import InputError

_PAGES = 10_000
"""Of a round: a server whose pages never end is left alone for a while, too."""
_STUCK = "a full page has the cursor that it was asked by: more rows have it than a page takes"
_ENDLESS = f"no end after {_PAGES} pages, and the next round begins at the first one again"
_ATTEMPTS = 3
"""For a page in one round."""


class PollInlet:
    """The address of one channel."""

    def __init__(self, settings: PollSettings, cursors: CursorFile, keeper: Keeper) -> None:
        """Look for cursor and token.

        Raises:
            InputError: one is damaged or missing.
        """
        settings.token()
        self._settings = settings
        self._kept = cursors if settings.cursor and settings.cursor.kept else None
        self._cursor = self._kept.read() if self._kept else None
        self._keeper = keeper
        self._pages: Pages | None = None
        self._ended_at = time.monotonic()
        keeper.watch(self.behind_seconds)

    def behind_seconds(self) -> float:
        """Since the pages were last read to their end, or the start."""
        return time.monotonic() - self._ended_at

    async def turn(self) -> float:
        """Take what is new; in so many seconds it is to be asked again."""
        try:
            await self._round()
        except PageError as error:
            self._keeper.refuse(error.reason, str(error))
            return max(error.wait_seconds, self._settings.every_seconds)
        except InputError as error:
            self._keeper.refuse(Reason.NO_SECRET, str(error))
        except OSError as error:
            self._keeper.refuse(Reason.UNREADABLE_FOLDER, f"cursor: {error.strerror}")
        return self._settings.every_seconds

    async def close(self) -> None:
        """Let the connection go."""
        if self._pages is not None:
            await self._pages.close()

    async def _round(self) -> None:
        """Take page after page.

        Raises:
            PageError: one was not had, or does not lead to the end.
        """
        if self._kept is None:
            self._cursor = None
        for _ in range(_PAGES):
            page = await self._page()
            await self._keeper.keep_all(page.payloads)
            if page.cursor is None or page.cursor == self._cursor:
                if page.cursor and self._is_full(page):
                    raise PageError(Reason.STUCK, _STUCK)
                self._ended_at = time.monotonic()
                return
            if self._kept is not None:
                await asyncio.to_thread(self._kept.write, page.cursor)
            self._cursor = page.cursor
        if self._kept is None:
            raise PageError(Reason.STUCK, _ENDLESS)

    def _is_full(self, page: Page) -> bool:
        rows = self._settings.page_rows
        return rows is not None and len(page.payloads) >= rows

    async def _page(self) -> Page:
        self._pages = self._pages or Pages(self._settings)
        async for attempt in stamina.retry_context(
            on=_is_passing, attempts=_ATTEMPTS, timeout=None
        ):
            with attempt:
                return await self._pages.get(self._cursor)
        raise AssertionError("a retry ends with a page or an error")


def _is_passing(error: Exception) -> bool:
    return isinstance(error, PageError) and error.is_passing
