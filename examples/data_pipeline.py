"""A pipeline on real data: the world's time zones are read, cleaned, enriched, stored in SQLite and reported on.

The data are the tables of zones and countries of the IANA time zone database, which is in the public domain.
"""

from __future__ import annotations

import csv
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from callboard import CompositeTask, ParallelExecutor, RetryPolicy, Task, TaskResult

DATA = Path(__file__).parent / "data"
Rows = list[dict[str, Any]]


class Ingest(Task):
    """Reads a CSV file as rows."""

    def execute(self, folder: Path) -> TaskResult:
        with (folder / f"{self.name}.csv").open(newline="") as file:
            return self.complete(result={"rows": list(csv.DictReader(file))})


class Clean(Task):
    """Turns coordinates such as +4230+00131 into degrees, and leaves out rows that have none."""

    def execute(self, rows: Rows) -> Rows:
        cleaned = []
        for number, row in enumerate(rows):
            sign = max(row["coordinates"].rfind("+"), row["coordinates"].rfind("-"))
            if sign <= 0:
                continue
            latitude, longitude = row["coordinates"][:sign], row["coordinates"][sign:]
            cleaned.append({**row, "latitude": self.degrees(latitude, 2), "longitude": self.degrees(longitude, 3)})
            self.update_progress((number + 1) / len(rows))
        return cleaned

    @staticmethod
    def degrees(text: str, digits: int) -> float:
        sign = -1 if text[0] == "-" else 1
        whole, minutes, seconds = text[1 : digits + 1], text[digits + 1 : digits + 3], text[digits + 3 :] or "0"
        return sign * (int(whole) + int(minutes) / 60 + int(seconds) / 3600)


class Enrich(Task):
    """Adds the country's name and the continent."""

    def execute(self, rows: Rows, countries: Rows) -> Rows:
        names = {row["code"]: row["name"] for row in countries}
        return [{**row, "country": names[row["country"]], "continent": row["zone"].partition("/")[0]} for row in rows]


class Store(Task):
    """Writes the rows in one transaction; reverting it removes the table."""

    def execute(self, rows: Rows, database: Path) -> int:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("CREATE TABLE zones (zone TEXT PRIMARY KEY, country TEXT, continent TEXT, latitude REAL, longitude REAL)")
            connection.executemany("INSERT INTO zones VALUES (:zone, :country, :continent, :latitude, :longitude)", rows)
        return len(rows)

    def revert(self, database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS zones")


class Report(Task):
    def execute(self, database: Path, stored: int) -> str:
        with closing(sqlite3.connect(database)) as connection, connection:
            continents = connection.execute("SELECT continent, count(*) FROM zones GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
            [north] = connection.execute("SELECT zone, country FROM zones ORDER BY latitude DESC LIMIT 1").fetchall()
            [south] = connection.execute("SELECT zone, country FROM zones ORDER BY latitude LIMIT 1").fetchall()
        lines = [f"{stored} zones", *(f"  {name:<12}{count:>4}" for name, count in continents)]
        return "\n".join([*lines, f"northernmost: {north[0]} ({north[1]})", f"southernmost: {south[0]} ({south[1]})"])


def build() -> CompositeTask:
    pipeline = CompositeTask("time zones")
    reading = RetryPolicy(max_attempts=3, initial_delay_seconds=0.1, retry_on=(OSError,))
    pipeline.add_task(Ingest("zones", retry_policy=reading), provides={"rows": "raw"})
    pipeline.add_task(Ingest("countries", retry_policy=reading), provides={"rows": "countries"})
    pipeline.add_task(Clean("clean"), requires={"rows": "raw"}, provides="cleaned")
    pipeline.add_task(Enrich("enrich"), requires={"rows": "cleaned"}, provides="enriched")
    pipeline.add_task(Store("store"), requires={"rows": "enriched"}, provides="stored")
    pipeline.add_task(Report("report"), provides="report")
    return pipeline


with tempfile.TemporaryDirectory() as folder:
    result = ParallelExecutor(max_workers=2).execute(build(), initial_inputs={"folder": DATA, "database": Path(folder, "zones.db")})
    print(result.status)
    print(result.outputs["report"] if result.is_completed() else result.error)
