"""When customers are left alone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flows.notices.settings import QuietHours


def quiet_until(now: datetime, hours: QuietHours, zone: ZoneInfo) -> datetime | None:
    """The end of the quiet hours that it is now, by the clock of the zone; None outside them.

    On the nights on which that clock is changed, they end when it shows their end for the first time.
    """
    local = now.astimezone(zone)
    clock = local.time()
    if hours.begin < hours.end:
        is_quiet = hours.begin <= clock < hours.end
    else:
        is_quiet = clock >= hours.begin or clock < hours.end
    if not is_quiet:
        return None
    day = local.date() if clock < hours.end else local.date() + timedelta(days=1)
    return datetime.combine(day, hours.end, zone).astimezone(UTC)
