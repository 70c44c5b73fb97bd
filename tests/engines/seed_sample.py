"""The samples that the engines are held to, with nothing but their import lines changed."""

from __future__ import annotations

from callboard import CompositeTask, Task, TaskResult


class DataIngestionTask(Task):
    def execute(self, data_source: str) -> TaskResult:
        print(f"Ingesting data from: {data_source}")
        # Simulate data ingestion logic
        if data_source == "invalid":
            return self.fail("Invalid data source provided.")

        ingested_data = f"Processed data from {data_source}"
        return self.complete(result={"ingested_data": ingested_data})


class DataProcessingWorkflow(CompositeTask):
    def __init__(self, name: str):
        super().__init__(name)
        self.add_task(DataIngestionTask(name="IngestData"), provides={"ingested_data": "raw_data"})
        self.add_task(DataCleaningTask(name="CleanData"), requires={"input_data": "raw_data"}, provides={"cleaned_data": "processed_data"})
        self.add_task(DataStorageTask(name="StoreData"), requires={"data_to_store": "processed_data"})


# Define DataCleaningTask and DataStorageTask similarly
class DataCleaningTask(Task):
    def execute(self, input_data: dict) -> TaskResult:  # type: ignore[type-arg]
        print(f"Cleaning data: {input_data}")
        cleaned = {k: v.upper() for k, v in input_data.items()}  # Simple cleaning
        return self.complete(result={"cleaned_data": cleaned})


class DataStorageTask(Task):
    def execute(self, data_to_store: dict) -> TaskResult:  # type: ignore[type-arg]
        print(f"Storing data: {data_to_store}")
        # Simulate storage
        return self.complete(result={"storage_path": "/data/cleaned"})


class CorrectedIngestionTask(DataIngestionTask):
    """Hands on a dict, which is what the cleaning takes."""

    def execute(self, data_source: str) -> TaskResult:
        return self.complete(result={"ingested_data": {"text": f"Processed data from {data_source}"}})


class CorrectedWorkflow(CompositeTask):
    def __init__(self, name: str):
        super().__init__(name)
        self.add_task(CorrectedIngestionTask(name="IngestData"), provides={"ingested_data": "raw_data"})
        self.add_task(DataCleaningTask(name="CleanData"), requires={"input_data": "raw_data"}, provides={"cleaned_data": "processed_data"})
        self.add_task(DataStorageTask(name="StoreData"), requires={"data_to_store": "processed_data"})


class UnreliableServiceCallTask(Task):
    _attempts = 0

    def execute(self, endpoint: str) -> TaskResult:
        self._attempts += 1
        print(f"Attempt {self._attempts} to call {endpoint}")
        if self._attempts < 3:  # Simulate failure for first 2 attempts
            print("Simulating transient failure...")
            return self.fail("Service temporarily unavailable.")

        print("Service call successful.")
        return self.complete(result={"response": f"Data from {endpoint}"})


class AttemptReadingTask(Task):
    """Reads which attempt it is, so that nothing has to outlive one."""

    def execute(self, endpoint: str) -> TaskResult:
        if self.attempt < 3:
            return self.fail("Service temporarily unavailable.")
        return self.complete(result={"response": f"Data from {endpoint}"})
