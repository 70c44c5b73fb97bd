"""A workflow of three tasks, each fed by the one before: as usually written, with its mistake, and corrected."""

from __future__ import annotations

from typing import Any

from callboard import CompositeTask, SyncExecutor, Task, TaskResult


class DataIngestionTask(Task):
    def execute(self, data_source: str) -> TaskResult:
        print(f"Ingesting data from: {data_source}")
        if data_source == "invalid":
            return self.fail("Invalid data source provided.")
        return self.complete(result={"ingested_data": f"Processed data from {data_source}"})


class ParsedIngestionTask(DataIngestionTask):
    """Gives a dict of records, which is what the cleaning takes."""

    def execute(self, data_source: str) -> TaskResult:
        result = super().execute(data_source)
        return self.complete(result={"ingested_data": {"record": result.output["ingested_data"]}})


class DataCleaningTask(Task):
    def execute(self, input_data: dict[str, Any]) -> TaskResult:
        print(f"Cleaning data: {input_data}")
        return self.complete(result={"cleaned_data": {key: value.upper() for key, value in input_data.items()}})


class DataStorageTask(Task):
    def execute(self, data_to_store: dict[str, Any]) -> TaskResult:
        print(f"Storing data: {data_to_store}")
        return self.complete(result={"storage_path": "/data/cleaned"})


class DataProcessingWorkflow(CompositeTask):
    def __init__(self, name: str, ingestion: Task):
        super().__init__(name)
        self.add_task(ingestion, provides={"ingested_data": "raw_data"})
        self.add_task(DataCleaningTask(name="CleanData"), requires={"input_data": "raw_data"}, provides={"cleaned_data": "processed_data"})
        self.add_task(DataStorageTask(name="StoreData"), requires={"data_to_store": "processed_data"})


for ingestion in (DataIngestionTask(name="IngestData"), ParsedIngestionTask(name="IngestData")):
    result = SyncExecutor().execute(DataProcessingWorkflow("ETLWorkflow", ingestion), initial_inputs={"data_source": "raw.csv"})
    print(f"Workflow status: {result.status}")
    if result.is_completed():
        print(f"Final output: {result.output}")
    else:
        print(f"What went wrong: {result.error}")
