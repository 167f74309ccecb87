"""No viewer gets at more than its tier may see, whatever it asks.

The lake is planted: every cell has a value that is nowhere else. What each viewer may find is written
down here by hand, apart from ``schemas/tiers.csv``, so that neither can be wrong alone.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.lake.query import connect_reader
from flows.lake.tiers import SOURCES, Tier, sights_of
from flows.lake.viewer import Viewer, open_viewer
from flows.lake.views import VIEWS
from flows.order_tokens import order_token
from schemas.errors import InputError
from schemas.tables import SCHEMAS, Table
from tests.support.command_line import refused, run
from tests.support.planted import Place, Planted, plant

SECRET = "a secret of thirty-two letters or more"
TOKEN = order_token(SECRET, ("t1", "eu", "o1"))
VIEWERS = {
    "public": Viewer(Tier.PUBLIC, "t1", "", "o1", TOKEN, SECRET),
    "customer": Viewer(Tier.CUSTOMER, "t1", "c1"),
    "vip": Viewer(Tier.VIP, "t1", "c1"),
    "carrier": Viewer(Tier.PARTNER, "t1", "K1"),
    "node": Viewer(Tier.PARTNER, "t1", "N2"),
    "operator": Viewer(Tier.OPERATOR, "t1"),
}

_KEPT = {"dead_letters"}
"""Tables that no tier has."""
_SERVICE = {
    "carrier",
    "nps",
    "csat",
    "sku",
    "line_no",
    "qty",
    "units_ordered",
    "carbon_g",
    "service",
}
_DETAILS = {
    *_SERVICE, "channel", "device", "reason", "latitude", "longitude", "place", "source", "type", "value",
    "min_value", "max_value", "uom", "state", "band_low", "band_high", "progress", "remaining_km", "code",
    "severity", "mode",
}  # fmt: skip
_GOODS = _DETAILS - {
    "sku",
    "line_no",
    "qty",
    "units_ordered",
    "carbon_g",
    "channel",
    "nps",
    "csat",
    "service",
    "mode",
}


def _is_customers(place: Place) -> bool:
    return place.order in ("o1", "o2") and place.column in _SERVICE


def _is_vips(place: Place) -> bool:
    return place.order == "o1" and place.column in _DETAILS


def _handled(*parcels: tuple[str, str]) -> Callable[[Place], bool]:
    return lambda place: (place.order, place.package) in parcels and place.column in _GOODS


MAY_SEE: dict[str, Callable[[Place], bool]] = {
    "public": lambda _: False,
    "customer": _is_customers,
    "vip": _is_vips,
    "carrier": _handled(("o1", "p1"), ("o2", "N1")),
    "node": _handled(("o1", "p2"), ("o3", "p3")),
    "operator": lambda place: place.table not in _KEPT,
}
NAMES = sorted({*map(str, Table), *VIEWS, *SOURCES, *(f"{t}_settled" for t in Table)})
COLUMNS = sorted({column for schema in SCHEMAS.values() for column in schema.names})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    return plant(tmp_path_factory.mktemp("tiers") / "lake")


@pytest.fixture(scope="module")
def opened(world: tuple[Path, Planted]) -> dict[str, duckdb.DuckDBPyConnection]:
    return {name: open_viewer(world[0], viewer) for name, viewer in VIEWERS.items()}


def told(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """All that a statement yields, or the error that it ends with."""
    try:
        result = connection.execute(statement)
        return str(result.to_arrow_table().to_pylist()) if result.description else ""
    except duckdb.Error as error:
        return str(error)


def leaks(world: tuple[Path, Planted], name: str, text: str) -> list[Place]:
    """What the text holds that the viewer may not see."""
    found = world[1].found_in(text)
    return [p for p in found if p.tenant != "t1" or not MAY_SEE[name](p)]


def hostile(lake: Path) -> Iterator[str]:
    """Statements that try to get around."""
    files = f"{lake}/data/**/*.parquet"
    yield from (f"FROM {function}()" for function in (
        "duckdb_tables", "duckdb_views", "duckdb_columns", "duckdb_databases", "duckdb_settings",
        "duckdb_secrets", "duckdb_functions", "duckdb_temporary_files", "duckdb_variables", "duckdb_logs",
        "pragma_database_list", "duckdb_prepared_statements",
    ))  # fmt: skip
    yield from (
        "FROM information_schema.tables",
        "FROM information_schema.columns",
        "FROM sqlite_master",
    )
    yield from (
        f"FROM {reader}('{files}')"
        for reader in ("read_parquet", "parquet_metadata", "glob", "read_blob")
    )
    yield from (
        f"FROM {reader}('{lake}/catalog.sqlite')"
        for reader in ("read_text", "sqlite_scan", "read_csv")
    )
    yield f"FROM '{files}'"
    yield f"ATTACH '{lake}/catalog.sqlite' AS stolen (TYPE sqlite)"
    yield f"ATTACH 'ducklake:sqlite:{lake}/catalog.sqlite' AS lake (DATA_PATH '{lake}/data/')"
    yield f"ATTACH '{lake}/stolen.duckdb'"
    yield f"COPY (SELECT 1) TO '{lake}/stolen.csv'"
    yield f"EXPORT DATABASE '{lake}/stolen'"
    yield f"IMPORT DATABASE '{lake}'"
    yield from ("INSTALL httpfs", "LOAD sqlite_scanner", "LOAD ducklake", "INSTALL ducklake")
    yield "SET enable_external_access = true"
    yield "RESET enable_external_access"
    yield "SET lock_configuration = false"
    yield "SET python_enable_replacements = true"
    yield "PRAGMA enable_logging"
    yield "SET search_path = 'lake.main'"
    yield from ("USE lake", "FROM temp.scope", "FROM scope", "FROM named_nodes", "FROM found")
    yield f"CREATE OR REPLACE VIEW timeline AS FROM read_parquet('{files}')"
    yield f"CREATE MACRO orders(x) AS TABLE FROM read_parquet('{files}')"
    yield "FROM query('FROM lake.main.timeline')"
    yield "FROM query_table(['timeline_settled', 'decisions'])"
    yield "SELECT getvariable('secret'), current_setting('secret_directory'), getenv('HOME')"
    yield "CALL pragma_table_info('decisions')"


@pytest.mark.parametrize("name", VIEWERS)
def test_no_statement_gets_around_a_tier(
    world: tuple[Path, Planted], opened: dict[str, duckdb.DuckDBPyConnection], name: str
) -> None:
    everything_else = pa.table({"secret": list(world[1].places)})  # a variable of this program

    said = [told(opened[name], "FROM everything_else")]
    said += [told(opened[name], statement) for statement in hostile(world[0])]
    said += [told(opened[name], f"FROM {schema}{table}") for schema, table in itertools.product(
        ("", "main.", "lake.", "lake.main.", "__ducklake_metadata_lake.", "temp."), NAMES
    )]  # fmt: skip
    has = [row[0] for row in opened[name].execute("SHOW TABLES").fetchall()]
    said += [told(opened[name], f'SELECT "{c}" FROM "{t}"') for t in has for c in COLUMNS]

    assert everything_else.num_rows
    assert leaks(world, name, "\n".join(said)) == []
    assert not list(world[0].glob("stolen*"))


_NAME = st.sampled_from(NAMES)
_CONDITION = st.sampled_from(
    [
        "true",
        "tenant = 't2'",
        "1 = 1 OR tenant <> ''",
        "order_id IN ('o3', 'o9')",
        "customer = 'c2'",
    ]
)
_SHAPE = st.sampled_from([
    "SELECT * FROM {a} WHERE {c}",
    "SELECT a.*, b.* FROM {a} AS a CROSS JOIN {b} AS b WHERE {c}",
    "SELECT * FROM {a} UNION ALL BY NAME SELECT * FROM {b}",
    "SELECT a FROM {a} AS a",
    "FROM (SUMMARIZE {a})",
    "SELECT COLUMNS(*)::VARCHAR FROM {a} WHERE {c}",
    "WITH RECURSIVE {a} AS (SELECT * FROM {b}) SELECT * FROM {a}",
    "SELECT (SELECT list(b) FROM {b} AS b) FROM {a}",
    "EXPLAIN ANALYZE SELECT * FROM {a} WHERE {c}",
    "PREPARE p AS SELECT * FROM {a}; EXECUTE p",
    "SELECT * FROM {a} POSITIONAL JOIN {b}",
])  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(VIEWERS)), _SHAPE, _NAME, _NAME, _CONDITION)
def test_no_combination_of_tables_gets_around_a_tier(
    world: tuple[Path, Planted],
    opened: dict[str, duckdb.DuckDBPyConnection],
    name: str,
    shape: str,
    a: str,
    b: str,
    condition: str,
) -> None:
    said = told(opened[name], shape.format(a=a, b=b, c=condition))

    assert leaks(world, name, said) == []


def test_each_tier_sees_what_it_is_to(
    world: tuple[Path, Planted], opened: dict[str, duckdb.DuckDBPyConnection]
) -> None:
    seen = {
        name: {
            (p.order, p.package, p.table, p.column)
            for p in world[1].found_in(
                "".join(
                    told(connection, f"FROM {sight.table}")
                    for sight in sights_of(VIEWERS[name].tier)
                )
            )
        }
        for name, connection in opened.items()
    }

    assert seen["public"] == set()
    assert ("o1", "", "decisions", "units_ordered") in seen["customer"]
    assert ("o1", "p2", "readings", "value") in seen["vip"]
    assert ("o1", "p1", "readings", "value") in seen["carrier"]
    assert ("o1", "p1", "locations", "latitude") in seen["carrier"]
    assert ("o3", "p3", "timeline", "reason") in seen["node"]
    whole = {(p.order, p.package, p.table, p.column) for p in world[1].places.values()
             if p.tenant == "t1" and p.table not in _KEPT}  # fmt: skip
    assert whole <= seen["operator"]


def test_names_of_nodes_are_kept_from_customers(
    opened: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    for sight in sights_of(Tier.CUSTOMER):
        said = told(opened["customer"], f"FROM {sight.table}")
        assert "'N1'" not in said, sight.table
        assert "'N2'" not in said, sight.table
    assert "'N1'" in told(opened["vip"], "FROM shipments")


def test_customers_see_what_happened_and_not_what_was_planned_or_taken_back(
    opened: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    steps = {
        name: {
            row[0]
            for row in opened[name]
            .execute("SELECT step FROM timeline WHERE order_id = 'o2'")
            .fetchall()
        }
        for name in ("customer", "operator")
    }

    assert steps["customer"] == {"ORDERED", "HANDED_OVER"}
    assert "DELIVERED" in steps["operator"]


def test_the_public_sees_phase_and_dates_of_its_order(
    opened: dict[str, duckdb.DuckDBPyConnection],
) -> None:
    (row,) = opened["public"].execute("FROM orders").to_arrow_table().to_pylist()

    assert sorted(row) == ["delivered_at", "order_id", "ordered_at", "phase", "promise_at"]
    assert (row["order_id"], row["phase"]) == ("o1", "IN_TRANSIT")


@pytest.mark.parametrize(
    "viewer",
    [
        Viewer(Tier.PUBLIC, "t1", "", "o1", order_token(SECRET, ("t2", "eu", "o1")), SECRET),
        Viewer(Tier.PUBLIC, "t1", "", "o3", TOKEN, SECRET),
        Viewer(Tier.PUBLIC, "t1", "", "o1", "", SECRET),
        Viewer(Tier.CUSTOMER, "t1", "c1", "o3"),
        Viewer(Tier.VIP, "t1", "c1", "o2"),
        Viewer(Tier.PARTNER, "t1", "K1", "o3"),
        Viewer(Tier.OPERATOR, "t1", "", "o9"),
        Viewer(Tier.CUSTOMER, "t1"),
        Viewer(Tier.OPERATOR),
        Viewer(Tier.CUSTOMER, "t1", "c1' OR '1'='1", "o3"),
        Viewer(Tier.CUSTOMER, "t1", "c1", "o3' OR 'a'='a"),
    ],
)
def test_whoever_may_not_see_an_order_is_refused(
    world: tuple[Path, Planted], viewer: Viewer
) -> None:
    with pytest.raises(InputError) as refusal:
        open_viewer(world[0], viewer)

    assert world[1].found_in(str(refusal.value)) == []


def test_every_column_of_the_policy_is_one_of_its_view(world: tuple[Path, Planted]) -> None:
    with connect_reader(world[0]) as lake:
        for tier in Tier:
            for sight in sights_of(tier):
                has = {row[0] for row in lake.execute(f"DESCRIBE {sight.source}").fetchall()}
                assert set(sight.columns) - {"*"} <= has, (tier, sight.table)


def test_the_command_line_shows_no_more_either(world: tuple[Path, Planted]) -> None:
    lake = world[0]
    customer = ("--as", "customer", "--customer", "c1", "--tenant", "t1")

    shown = run("view", "o1", "--lake", lake, *customer)
    asked = run("sql", "FROM timeline", "--lake", lake, *customer, "--json")
    other = run("view", "o3", "--lake", lake, *customer)
    hidden = run("sql", "FROM readings", "--lake", lake, *customer)

    assert shown.exit_code == asked.exit_code == 0, shown.output
    assert "HANDED_OVER" in shown.stdout
    assert leaks(world, "customer", shown.stdout + asked.stdout) == []
    assert "there is none that this viewer may see" in refused(other)
    assert "readings" in refused(hidden)


def test_a_token_opens_its_order_and_no_other(
    world: tuple[Path, Planted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSDOCK_LINK_SECRET", SECRET)
    lake, tenant = world[0], ("--tenant", "t1")

    token = run("token", "o1", "--lake", lake, *tenant).stdout.strip()
    public = ("--as", "public", "--token", token, *tenant, "--json")

    assert token == TOKEN
    assert '"phase":"IN_TRANSIT"' in run("view", "o1", "--lake", lake, *public).stdout
    assert "there is none" in refused(run("view", "o2", "--lake", lake, *public))
    assert "is in t1/eu, t2/eu" in refused(run("token", "o1", "--lake", lake))


def test_without_a_secret_there_are_no_tokens(
    world: tuple[Path, Planted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROSSDOCK_LINK_SECRET", raising=False)

    result = run("token", "o1", "--lake", world[0], "--tenant", "t1")

    assert "CROSSDOCK_LINK_SECRET" in refused(result)
