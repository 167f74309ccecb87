"""The router's own state, as the newest checkpoint beside a lake has it: exact, and read while the job runs."""

import sys
from pathlib import Path

from flows.checkpoint_store import store_of
from flows.checkpoints import ROUTE_FORM, Checkpoints, Origin
from flows.lake.diagnosis import explained
from flows.lake.layout import identity_of
from flows.lake.query import connect_reader
from flows.settings import Settings
from models.inference import runtime_fingerprint
from models.routing.network import Network
from schemas.errors import InputError


def newest_network(lake: Path, name: str | None, settings: Settings) -> Network:
    """A network as it stood at the newest checkpoint.

    Args:
        lake: the lake of the job.
        name: ``tenant/network``; None: the only one.
        settings: say where checkpoints are, if not beside the lake's data.

    Raises:
        InputError: no checkpoint has such a network, or several have one and none was named.
    """
    with connect_reader(lake) as connection, explained(lake):
        made = identity_of(connection)
    origin = Origin(made.log_id, made.policy_override_sha256, runtime_fingerprint())
    store = Checkpoints(
        store_of(lake, settings.checkpoints), origin, settings.checkpoint_seconds, ROUTE_FORM
    )
    networks = {
        str(key): network
        for partition in range(made.log_partitions)
        for key, network in store.load(partition, sys.maxsize, None).state.networks.items()
    }
    known = ", ".join(sorted(networks)) or "none"
    if name is None and len(networks) != 1:
        raise InputError(f"{lake}: its checkpoints hold {known}: choose one by --network")
    if name is not None and name not in networks:
        raise InputError(f"{lake}: no checkpoint holds network {name}, but {known}")
    return networks[name or next(iter(networks))]
