"""`bridle suite`: list, fetch, check and run tasks, explain an attempt, compare two runs. One file a command."""

from __future__ import annotations

import typer

from cli.suite.check import check
from cli.suite.compare import compare
from cli.suite.draft import draft
from cli.suite.explain import explain
from cli.suite.export import export
from cli.suite.fetch import fetch
from cli.suite.importing import app as importing
from cli.suite.listing import list_tasks
from cli.suite.make import make
from cli.suite.related import gap, spread
from cli.suite.report import report, schema
from cli.suite.run import run

app = typer.Typer(no_args_is_help=True, help="Benchmark tasks: how often an agent succeeds, and why it fails.")
app.command("check")(check)
app.command("run")(run)
app.command("fetch")(fetch)
app.command("draft")(draft)
app.command("list")(list_tasks)
app.command("explain")(explain)
app.command("export")(export)
app.command("compare")(compare)
app.command("report")(report)
app.command("schema")(schema)
app.add_typer(importing, name="import")
app.command("make")(make)
app.command("gap")(gap)
app.command("spread")(spread)
