"""The statement that says whose a payload is: the customer, as records of the mapping have it."""

from msgspec import inspect

from flows.channels.expressions import read_text
from flows.channels.statement import Compiler
from flows.channels.values import Scope

_CUSTOMER = "customer"


class CustomerCompiler(Compiler):
    """Makes it: (seq, customer) of each payload, which is in no envelope any more."""

    def customer_sql(self) -> str:
        """The statement; empty where no record has a customer, or an element of an array has one each.

        Raises:
            FieldError: see ``Compiler``.
        """
        customers = dict.fromkeys(
            made for number in range(len(self.mapping.record)) if (made := self._customer(number))
        )
        if not customers:
            return ""
        held = "SELECT seq, TRY_CAST(raw AS JSON) AS piece FROM batch"
        for path in self.mapping.texts:
            held = f"SELECT seq, {read_text(path)} AS piece FROM ({held})"
        return (
            f"SELECT seq, coalesce({', '.join(customers)}) AS customer FROM "
            f"(SELECT seq, unnest([TRY(from_json(piece, {self._asked()}))]) AS p FROM ({held})) AS p"
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
