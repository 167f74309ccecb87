"""Instants as users type them."""

from datetime import UTC, datetime

from schemas.errors import InputError


def given_instant(option: str, text: str | None) -> datetime | None:
    """An RFC 3339 instant, or midnight UTC of a date; None if nothing was given.

    Raises:
        InputError: it is neither, or an instant without a zone.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{option} {text}: not a time; write 2011-03-01 or 2011-03-01T09:30:00Z"
        ) from error
    if at.tzinfo is None:
        if "T" in text.upper() or " " in text.strip():
            raise InputError(f"{option} {text}: has no zone; write {text}Z for UTC")
        return at.replace(tzinfo=UTC)
    return at.astimezone(UTC)
