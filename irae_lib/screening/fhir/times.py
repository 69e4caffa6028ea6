"""Times of FHIR resources: parsed, printed on the clock of the place, and put in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from .resources import Period

_YEAR, _MONTH, _DAY, _MINUTE = "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M"


class Moment(NamedTuple):
    """A FHIR date or time; `form` is how it is printed, down to what the export gives."""

    at: datetime  # with a time zone where the export gives one
    form: str = _MINUTE

    @property
    def local(self) -> datetime:
        """The date and time as the clock at the place showed it."""
        return self.at.replace(tzinfo=None)

    @property
    def clock(self) -> bool:
        """Whether it has a time of day."""
        return self.form == _MINUTE

    @property
    def words(self) -> str:
        """For a note: "2026-03-01 08:00", "2026-03-01", "2026-03" or "2026"."""
        return self.local.strftime(self.form)

    @property
    def day(self) -> str:
        """The day, "2026-03-01"; a month or year if no day is given."""
        return self.words[:10]

    def by(self, end: Moment) -> bool:
        """Whether this is not after `end`; without a time of day on both sides, on its day or before."""
        if self.clock and end.clock:
            aware = self.at.tzinfo is not None and end.at.tzinfo is not None
            return self.at <= end.at if aware else self.local <= end.local
        return self.local.date() <= end.local.date()


def moment(text: str | None) -> Moment | None:
    """Parse a checked FHIR date, dateTime or instant; None if it is missing."""
    if not text:
        return None
    if len(text) < 10:
        form = _MONTH if len(text) > 4 else _YEAR
        return Moment(datetime.strptime(text, form), form)
    return Moment(datetime.fromisoformat(text), _MINUTE if len(text) > 10 else _DAY)


def first(*times: str | Period | None) -> Moment | None:
    """The first time that is given; of a period its end, else its start: a result is as new as its last sample."""
    for time in times:
        if isinstance(time, Period):
            time = time.end or time.start
        if time:
            return moment(time)
    return None


def in_one_zone(moments: Sequence[Moment | None]) -> list[Moment | None]:
    """The same moments on clocks that agree on their order.

    Servers mix UTC and local times. If the printed times would put the moments in another order than they happened,
    all are given in the zone of the latest one that is not in UTC.
    """
    aware = sorted((m for m in moments if m and m.clock and m.at.tzinfo), key=lambda m: m.at)
    if all(a.local <= b.local for a, b in zip(aware, aware[1:], strict=False)):
        return list(moments)
    zone = max(aware, key=lambda m: (bool(m.at.utcoffset()), m.at)).at.tzinfo
    return [m._replace(at=m.at.astimezone(zone)) if m and m.clock and m.at.tzinfo else m for m in moments]
