"""Who looks at a lake: options that ``crossdock sql`` and ``crossdock view`` share."""

from typing import Annotated

import typer

from flows.lake.tiers import Tier
from flows.lake.viewer import Viewer
from flows.settings import Settings

AsTier = Annotated[
    Tier | None,
    typer.Option("--as", help="See no more than this tier of viewers; see schemas/tiers.csv."),
]
Tenant = Annotated[str, typer.Option(help="Whose data, where the lake has several tenants.")]
Customer = Annotated[str, typer.Option(help="A customer's token, with --as customer or vip.")]
Partner = Annotated[str, typer.Option(help="A carrier or node, with --as partner.")]
Token = Annotated[str, typer.Option(help="Of the order, with --as public; see crossdock token.")]


def viewer_of(
    tier: Tier, tenant: str, customer: str, partner: str, order_id: str = "", token: str = ""
) -> Viewer:
    """The viewer whom the options describe."""
    subject = partner if tier is Tier.PARTNER else customer
    secret = Settings().link_secret if tier is Tier.PUBLIC else ""
    return Viewer(tier, tenant, subject, order_id, token, secret)
