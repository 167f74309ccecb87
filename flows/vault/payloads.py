"""What is kept of the payloads of a channel: without its personal members, which are sealed in their places.

A payload may be an envelope around those of several people. Its *pieces* are itself and what is in each of its
envelopes, down to the innermost; of each the members that the mapping declares personal are sealed by the key
of its customer. What has none is sealed by the keys of all customers of the payload, so that the purge of any
of them reaches it, or by a key of the payload's own. A payload that the mapping knows nothing of, or that is
in a form, is sealed whole in the same way. The bytes of all other members stay as they came.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from typing import NamedTuple

import msgspec

from flows.channels.engine import Channel, held_in, token_of
from flows.channels.expressions import ELEMENT, Tree, enter
from flows.channels.mapping import is_within
from flows.vault.keys import Owner, Vault
from flows.vault.seals import GONE, MARK, disarmed, opened

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING = (b"null", b'""', b"[]", b"{}")
Change = Callable[[bytes], bytes]


class Kept(NamedTuple):
    """A payload that is to be kept.

    Attributes:
        raw: as it came.
        is_known: whether the mapping can say which of its members are personal.
    """

    raw: bytes
    is_known: bool


class Sealer:
    """Makes of payloads what may be kept of them."""

    def __init__(self, vault: Vault | None) -> None:
        """Seal by the keys of a vault; without one nothing personal is kept at all."""
        self._vault = vault

    def sealed(self, channel: Channel, payloads: Sequence[Kept]) -> list[bytes]:
        """Payloads of a channel as they may be kept; as they came where it has nothing personal."""
        personal = _personal(*channel.mapping.personal, *sorted(channel.statement.tokens))
        envelopes = _envelopes(*channel.mapping.unwrap)
        if not personal or not payloads:
            return [disarmed(payload.raw) for payload in payloads]
        form = channel.mapping.form_field
        read = [_Read(payload, form, envelopes, personal) for payload in payloads]
        customers = channel.customers([piece for one in read for piece in one.pieces])
        for one in read:
            one.is_of(channel, customers[: len(one.pieces)])
            customers = customers[len(one.pieces) :]
        seals = self._seals(owner for one in read for owner in one.needed())
        return [one.sealed(seals) for one in read]

    def opened(self, raw: bytes) -> bytes:
        """A payload with what its seals hold; ``null`` where a key is destroyed, or without a vault."""
        return opened(raw, lambda _: None) if self._vault is None else self._vault.opened(raw)

    def _seals(self, owners: Iterator[Owner]) -> Mapping[Owner, Change]:
        if self._vault is None:
            return dict.fromkeys(owners, _left_out)
        return {owner: key.seal for owner, key in self._vault.keys_of(owners).items()}


class _Read:
    """A payload, and whose its pieces are.

    Attributes:
        pieces: itself and what its envelopes hold, the inner ones first; none of what is no JSON.
    """

    def __init__(self, payload: Kept, form: str, envelopes: Tree, personal: Tree) -> None:
        self.pieces: list[bytes] = []
        self._raw, self._envelopes, self._personal = disarmed(payload.raw), envelopes, personal
        self._is_personal: list[bool] = []
        self._is_known = payload.is_known
        held = held_in(self._raw, form) if form else self._raw
        try:
            held.decode()
            _each_piece(held, envelopes, self._note)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.pieces = []
        self._is_known &= bool(self.pieces) and held == self._raw

    def _note(self, piece: bytes) -> bytes:
        self.pieces.append(piece)
        self._is_personal.append(_has(piece, self._personal))
        return piece

    def is_of(self, channel: Channel, customers: Sequence[str]) -> None:
        """Take note of the customers of the pieces; empty where there is none."""
        source = channel.binding.source
        self._all = [Owner(source, name) for name in dict.fromkeys(filter(None, customers))]
        if not self._all and self._raw not in _NOTHING:
            content = hashlib.sha256(self._raw).hexdigest()
            name = token_of(channel.binding.secret, source, content)
            self._all = [Owner(source, name, is_payload=True)]
        self._owners = [[Owner(source, name)] if name else self._all for name in customers]

    def needed(self) -> Iterator[Owner]:
        """Whose keys it takes."""
        if not self._is_known:
            yield from self._all
            return
        for owners, is_personal in zip(self._owners, self._is_personal, strict=True):
            yield from owners if is_personal else ()

    def sealed(self, seals: Mapping[Owner, Change]) -> bytes:
        """What may be kept."""
        if not self._is_known:
            return _by_all(self._all, seals, self._raw)
        whose = iter(self._owners)

        def seal(piece: bytes) -> bytes:
            owners = next(whose)
            return _changed(piece, self._personal, lambda value: _by_all(owners, seals, value))

        return _each_piece(self._raw, self._envelopes, seal)


def _has(piece: bytes, personal: Tree) -> bool:
    values: list[bytes] = []

    def note(value: bytes) -> bytes:
        values.append(value)
        return value

    _changed(piece, personal, note)
    return bool(values)


def _left_out(_: bytes) -> bytes:
    return GONE


def _by_all(owners: Sequence[Owner], seals: Mapping[Owner, Change], raw: bytes) -> bytes:
    return reduce(lambda sealed, owner: seals[owner](sealed), owners, raw)


@cache
def _personal(*paths: str) -> Tree:
    """The personal members of a piece, customers among them; what is within another one is left out."""
    tree = Tree()
    for path in paths:
        if not any(is_within(path, other) for other in paths if other != path):
            enter(tree, path.replace("[]", f".{ELEMENT}").split("."))
    return tree


@cache
def _envelopes(*paths: str) -> Tree:
    tree = Tree()
    for path in paths:
        enter(tree, path.split("."))
    return tree


def _each_piece(raw: bytes, envelopes: Tree, change: Change) -> bytes:
    """A payload with each of its pieces changed; of an array, each element is one."""
    start = raw.lstrip()[:1]
    if start == b"[":
        elements = [_each_piece(bytes(one), envelopes, change) for one in _ARRAY.decode(raw)]
        return msgspec.json.encode([msgspec.Raw(one) for one in elements])
    if start != b"{":
        return raw
    members = _OBJECT.decode(raw)
    for name, below in envelopes.items():
        if name in members:
            members[name] = msgspec.Raw(_each_piece(bytes(members[name]), below, change))
    return change(_written(members))


def _written(members: dict[str, msgspec.Raw]) -> bytes:
    """An object again; white space is lost, and it may look sealed only now."""
    raw = msgspec.json.encode(members)
    return disarmed(raw) if len(members) == 2 and raw.startswith(MARK) else raw


def _changed(raw: bytes, wanted: Tree, change: Change) -> bytes:
    """A value with the wanted ones of its members changed; all of it, where it has not their shape.

    An array may stand for what is wanted of each of its elements, and one element for an array.
    """
    if not wanted:
        return raw if raw.strip() in _NOTHING else change(raw)
    start = raw.lstrip()[:1]
    if start == b"[":
        below = wanted.get(ELEMENT, wanted)
        elements = [_changed(bytes(one), below, change) for one in _ARRAY.decode(raw)]
        return msgspec.json.encode([msgspec.Raw(one) for one in elements])
    if start != b"{":
        return _changed(raw, {}, change)
    members = _OBJECT.decode(raw)
    for name, below in (wanted | wanted.get(ELEMENT, {})).items():
        if name in members:
            members[name] = msgspec.Raw(_changed(bytes(members[name]), below, change))
    return _written(members)
