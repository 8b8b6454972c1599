"""`fengsui audit`: the chains read straight from the database, without trusting the server."""

from __future__ import annotations

import typer

from app.commands.options import DATA, ConfigOption, DataOption
from app.commands.output import FINDINGS, note, plain_errors

app = typer.Typer(no_args_is_help=True, help="审计链 / The audit trail")


@app.command()
def verify(data: DataOption = DATA, config: ConfigOption = None) -> None:
    """核对每条预警的审计链 / Check every chain; exit 1 where one was changed. Prints the root over all heads."""
    from app.settings import load_settings
    from app.stores import look
    from storage import audit

    with plain_errors(), look(load_settings(config, data=data)) as connection:
        broken = audit.verify_all(connection)
        root = audit.root(connection)
    for warning_id, wrong in broken.items():
        note(f"{warning_id}: {wrong}")
    typer.echo(f"root {root}, broken chains {len(broken)}")
    if broken:
        raise typer.Exit(FINDINGS)
