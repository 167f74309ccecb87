"""The statement that says whose a payload is: the customer, as records of the mapping have it, or a guest.

A guest is who is named by what the mapping says people are known by, as an e-mail address; his token is made of
that, and is in no record.
"""

import re

from msgspec import inspect

from flows.channels.expressions import read_text
from flows.channels.mapping import is_within
from flows.channels.statement import Compiler
from flows.channels.values import Scope

_CUSTOMER = "customer"
_SPACE = "[ \\t\\r\\n]"


def guest_name(said: str) -> str:
    """What a guest is known by, however it is written: neither case nor white space tells two apart."""
    return re.sub(_SPACE, "", said).lower()


class CustomerCompiler(Compiler):
    """Makes it: (seq, customer) of each payload, which is in no envelope any more."""

    def customer_sql(self) -> str:
        """The statement; empty where no record has a customer, or an element of an array has one each.

        Raises:
            FieldError: see ``Compiler``.
        """
        records = range(len(self.mapping.record))
        customers = dict.fromkeys(made for number in records if (made := self._customer(number)))
        customers |= dict.fromkeys(map(self._guest, self.mapping.known_by))
        if not customers:
            return ""
        held = "SELECT seq, TRY_CAST(raw AS JSON) AS piece FROM batch"
        for path in self.mapping.texts:
            held = f"SELECT seq, {read_text(path)} AS piece FROM ({held})"
        read = f"unnest([TRY(from_json(piece, {self._asked()}))]) AS p"
        return (
            f"SELECT seq, coalesce({', '.join(customers)}) AS customer FROM "
            f"(SELECT seq, {read} FROM ({held})) AS {self._alias}"
        )

    def _customer(self, number: int) -> str:
        """Of one kind of record."""
        self.number = number
        record = self.mapping.record[number]
        given = self._data(record).get(_CUSTOMER)
        if given is None or record.each:
            return ""
        spec = self._parsed(given, f"record[{number}].data.{_CUSTOMER}")
        raw = self._raw(Scope("", self.root, ""), spec)
        return self._converted(f"data.{_CUSTOMER}", raw, spec, inspect.type_info(str)).value

    def _guest(self, path: str) -> str:
        """Who has this member."""
        self.at = "known_by"
        if not any(is_within(path, name) for name in self.mapping.personal):
            self._refuse(f"{path!r} is not personal: say so, lest it be kept as it came")
        said = self._path(Scope("", self.root, ""), path)
        name = f"lower(regexp_replace({said}, '{_SPACE}', '', 'g'))"
        return f"token(channel_source(), nullif({name}, ''))"
